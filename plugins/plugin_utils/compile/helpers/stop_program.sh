#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# stop-program SIGNAL main|all
#
# Called when a task of the driver exec is to end (ExecStop): sends the signal, by its number, to the task's program or to all of its
# processes, and waits until the unit's main process has ended. That one is `unshare`: a signal of systemd's to it would end it, and
# with it the program, at once.
#
# Nothing here forks: the task may have as many processes as it is allowed, and this one counts among them.
#
# A task that has ended by itself has no MAINPID. Until `unshare` has made the task's PID namespace, there is no program to be asked,
# and the namespace that is found is the robot's own.
[ -n "$MAINPID" ] || exit 0
namespace=/proc/$MAINPID/ns/pid_for_children
[ "$namespace" -ef /proc/1/ns/pid ] && exit 0

# The process IDs of the namespace, from the one of /proc/PID/status that says what a process is called inside.
inside() {
    called=''
    while read -r key _outside called _more; do
        [ "$key" = NSpid: ] && return
    done <"$1/status"
    called=''
} 2>/dev/null

told=" "
found=yes
while [ -n "$found" ]; do
    found=''
    lowest=''
    program=''
    for process in /proc/[0-9]*; do
        [ "$process/ns/pid" -ef "$namespace" ] || continue
        pid=${process#/proc/}
        case $told in *" $pid "*) continue ;; esac
        inside "$process"
        # The first one is a shell of ours, which ends with the program.
        [ "${called:-1}" -gt 1 ] || continue
        if [ "$2" = all ]; then
            kill -s "$1" "$pid" 2>/dev/null
            told="$told$pid "
            found=yes
        elif [ -z "$lowest" ] || [ "$called" -lt "$lowest" ]; then
            # Whatever the program has started has come later.
            lowest=$called program=$pid
        fi
    done
done
[ -z "$program" ] || kill -s "$1" "$program" 2>/dev/null
exec tail -s 0.1 --pid="$MAINPID" -f /dev/null
