#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# stop-program SIGNAL PROCESS
#
# Called when a task of the driver exec is to end (ExecStop): sends the signal, by its number, to a process of the task's PID
# namespace (-1: to all of them), and waits until the namespace is gone. A signal that systemd sent to the unit's main process would
# end `unshare`, and with it the program, at once.
#
# The shell that waits inside ends with the namespace, by SIGKILL, and `unshare` a moment later: to be killed in that moment would be
# a failure. A task that has ended by itself has no MAINPID.
[ -n "$MAINPID" ] || exit 0
nsenter --pid="/proc/$MAINPID/ns/pid_for_children" /bin/sh -c 'kill -s "$1" -- "$2" && exec sleep infinity' sh "$1" "$2"
for _ in $(seq 50); do
    kill -0 "$MAINPID" 2>/dev/null || exit 0
    sleep 0.02
done
