#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# restart-policy UNIT ATTEMPTS INTERVAL MODE TYPE
#
# Called when a task ends (ExecStopPost). Counts restarts as Nomad does: ATTEMPTS within a window of INTERVAL seconds
# that begins with its first restart. When they are used up, MODE `fail` stops the unit for good, and `delay` starts it
# again when the window ends. TYPE is the job's type, `service`, `batch` or `system`: the success of a batch task is no
# restart, and neither is a stop or restart that somebody asked for.
#
# systemd's own limit (StartLimitBurst=) cannot be used: it loses its count at a daemon-reload (seen on 252).
unit=$1 attempts=$2 interval=$3 mode=$4 type=$5
count_file=@RESTARTS@/$unit
[ -n "$(systemctl show --property=Job --value "$unit")" ] && exit 0
[ "$type" = batch ] && [ "$SERVICE_RESULT" = success ] && exit 0
mkdir -p @RESTARTS@
now=$(date +%s) first=$now count=0
[ -r "$count_file" ] && read -r first count <"$count_file"
[ $((now - first)) -ge "$interval" ] && first=$now count=0
count=$((count + 1))
echo "$first $count" >"$count_file"
[ "$count" -le "$attempts" ] && exit 0
if [ "$mode" = delay ]; then
    rest=$((first + interval - now))
    echo "restart policy: $attempts attempts used up, next start in $rest s"
    systemd-run --quiet --collect --on-active="$rest" --timer-property=AccuracySec=1s systemctl start "$unit"
else
    echo "restart policy: $attempts attempts within $interval s used up, giving up"
fi
exec systemctl --no-block stop "$unit"
