#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# restart-policy UNIT ATTEMPTS INTERVAL MODE TYPE [COMMAND...]
#
# Called when a task ends (ExecStopPost). Counts restarts as Nomad does: ATTEMPTS within a window of INTERVAL seconds
# that begins with its first restart. When they are used up, MODE `fail` stops the unit for good, and `delay` stops it and
# sets a timer that starts it again when the window ends. TYPE is the job's type, `service`, `batch` or `system`: the
# success of a batch task is no restart, and neither is a stop or restart that somebody asked for. COMMAND is run when a unit is
# stopped for good.
#
# systemd's own limit (StartLimitBurst=) cannot be used: it loses its count at a daemon-reload (seen on 252).
unit=$1 attempts=$2 interval=$3 mode=$4 type=$5
shift 5
count_file=@RESTARTS@/$unit
jobs=$(ask list-jobs --no-legend --plain "$unit")
case "$jobs" in
    # A job of the type start is no request to end: it only waits for this end, or it is the start that just failed.
    *" stop "* | *" restart "* | *" try-restart "*) exit 0 ;;
esac
# (To systemd, SIGTERM and the like are a success, too.)
[ "$type" = batch ] && [ "$SERVICE_RESULT" = success ] && [ "$EXIT_STATUS" = 0 ] && exit 0
# The boot clock: a robot's wall clock jumps when it is set.
read -r now _ </proc/uptime
now=${now%.*} first=$now count=0
[ -r "$count_file" ] && read -r first count _ <"$count_file"
case "$first$count" in
    # Cut off when /run was full.
    *[!0-9]* | "") first=$now count=0 ;;
esac
# A time in the future is from a version that counted on the wall clock.
if [ "$first" -gt "$now" ] || [ $((now - first)) -ge "$interval" ]; then
    first=$now count=0
fi
count=$((count + 1))
mkdir -p @RESTARTS@
echo "$first $count" >"$count_file"
[ "$count" -le "$attempts" ] && exit 0
word=attempts
[ "$attempts" != 1 ] || word=attempt
if [ "$mode" = fail ]; then
    # For who looks why it is down.
    echo "$first $count over" >"$count_file"
    echo "restart policy: $attempts $word within $interval s used up, giving up"
    systemctl --no-block stop "$unit"
    [ $# -eq 0 ] || exec "$@"
    exit
fi
rest=$((first + interval - now))
timer=${unit%.service}.timer
# Somebody may have started the unit before its time.
systemctl stop "$timer" 2>/dev/null
# Whoever stops the unit or its group stops the timer too. The group alone would not do, and neither would the unit: the
# stop of a group is not handed on by a unit that is down already.
group=$(systemctl show --property=PartOf --value "$unit")
if systemd-run --quiet --on-active="$rest" --unit="$unit" --description="Starts $unit again" \
    --timer-property=AccuracySec=1s --timer-property=PartOf="$unit" ${group:+--timer-property=PartOf="$group"}; then
    # Who has stopped the unit meanwhile has found no timer to stop with it.
    case $(systemctl list-jobs --no-legend --plain "$unit") in
        *" stop "* | *" restart "* | *" try-restart "*)
            systemctl stop "$timer"
            exit 0
            ;;
    esac
    echo "restart policy: $attempts $word used up, next start in $rest s"
    # This stop must not reach the timer.
    exec systemctl --no-block --job-mode=ignore-dependencies stop "$unit"
fi
echo "restart policy: $attempts $word used up, but the timer for the next start cannot be set, so the restarts go on"
