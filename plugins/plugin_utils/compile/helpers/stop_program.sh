#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# stop-program SIGNAL main|all
#
# Called when a task of the driver exec is to end (ExecStop): sends the signal, by its number, to the task's program or to all of its
# processes, and waits until the unit's main process has ended. That one is `unshare` or `nsenter`: a signal of systemd's to it would
# end it, and with it the program, at once.
#
# Nothing here forks: the task may have as many processes as it is allowed, and this one counts among them.
#
# A task that has ended by itself has no MAINPID. Until the task's PID namespace has been made or entered, there is no program to be
# asked, and the namespace that is found is the robot's own.
[ -n "$MAINPID" ] || exit 0
namespace=/proc/$MAINPID/ns/pid_for_children
[ "$namespace" -ef /proc/1/ns/pid ] && exit 0

# From /proc/PID/status: the parent of a process, and what it is called inside the namespace.
inside() {
    called='' parent=''
    while read -r key first second _more; do
        case $key in
            PPid:) parent=$first ;;
            NSpid:) called=$second && return ;;
        esac
    done <"$1/status"
} 2>/dev/null

# The unit's control group: others of its instance may share the namespace. It has a line for each hierarchy, two of them systemd's.
unit() {
    groups=''
    while read -r line; do
        case $line in 0::* | *:name=systemd:*) groups="$groups $line" ;; esac
    done <"$1/cgroup"
} 2>/dev/null
unit "/proc/$MAINPID"
mine=$groups

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
        unit "$process"
        [ "$groups" = "$mine" ] || continue
        inside "$process"
        # The first one of a namespace of its own is a shell of ours, which ends with the program.
        [ "${called:-1}" -gt 1 ] || continue
        if [ "$2" = all ]; then
            kill -s "$1" "$pid" 2>/dev/null
            told="$told$pid "
            found=yes
        elif [ "$parent" = "$MAINPID" ]; then
            # In a namespace that others share, this one; numbers there may begin anew.
            lowest=0 program=$pid
        elif [ -z "$lowest" ] || [ "$called" -lt "$lowest" ]; then
            # Whatever the program has started has come later.
            lowest=$called program=$pid
        fi
    done
done
[ -z "$program" ] || kill -s "$1" "$program" 2>/dev/null
exec tail -s 0.1 --pid="$MAINPID" -f /dev/null
