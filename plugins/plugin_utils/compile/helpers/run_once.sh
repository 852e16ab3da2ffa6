#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# run-once TIMER TASK... -- OTHER...
#
# Called at each time of a job's schedule, by TIMER: starts all these units, waits until each TASK has run to its end or is given up, and
# then stops the OTHERs: sidecars, hooks that have run, and the last hooks. Exits with 1 if a unit failed.
timer=$1
shift
going() {
    case $(systemctl show --property=ActiveState --property=SubState --property=Job "$1") in
        # It gives no answer for a moment while it executes itself anew (daemon-reexec).
        "" | *Job=[1-9]*) return 0 ;;
        # A hook that has run, and that a deployment has made of a task meanwhile.
        *SubState=exited*) return 1 ;;
        *=activating* | *=active* | *=deactivating* | *=reloading*) return 0 ;;
    esac
    # It waits for the end of its restartPolicy's interval. (Asked last: the timer is set before the unit is down.)
    systemctl --quiet is-active "${1%.service}.timer"
}
any_going() {
    for unit; do
        [ "$unit" != -- ] || return 1
        going "$unit" && return 0
    done
    return 1
}
for unit; do
    # Each run has all attempts of its restartPolicy.
    rm -f "@RESTARTS@/$unit"
done
systemctl reset-failed "$@" 2>/dev/null
ask --no-block start "$@" || exit 1
pause=1
while any_going "$@"; do
    sleep "$pause"
    [ "$pause" -ge 5 ] || pause=$((pause + 1))
done
case $(ask show --property=ActiveState --value "$@") in
    *failed*) failed=yes ;;
esac
while [ "$1" != -- ]; do
    shift
done
shift
[ $# -eq 0 ] || ask stop "$@"
# A time that came meanwhile is passed over. By itself, the timer would begin the next run for it as soon as this one has ended, for it
# counts from the time for which it began this one. (Not where somebody stops it at this moment.)
touch "@STAMPS@/stamp-$timer"
ask --job-mode=fail try-restart "$timer"
[ -z "$failed" ]
