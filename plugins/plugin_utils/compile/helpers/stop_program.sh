#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# stop-program SIGNAL PROCESS
#
# Called when a task of the driver exec is to end (ExecStop): sends the signal, by its number, to a process of the task's PID
# namespace (-1: to all of them), and waits until the namespace is gone. A signal that systemd sent to the unit's main process would
# end `unshare`, and with it the program, at once. A task that has ended by itself has no MAINPID.
if [ "$3" = inside ]; then
    # The kernel kills this shell when the namespace ends.
    kill -s "$1" -- "$2" && exec sleep infinity
    exit
fi
[ -n "$MAINPID" ] || exit 0
# Without the line by which this shell would tell, in the task's log, that the other one was killed.
exec 3>&2 2>/dev/null
(exec nsenter --pid="/proc/$MAINPID/ns/pid_for_children" /bin/sh "$0" "$1" "$2" inside 2>&3)
# `unshare` ends a moment later. If systemd killed it in that moment, the unit would have failed.
for _ in $(seq 50); do
    kill -0 "$MAINPID" || exit 0
    sleep 0.02
done
