#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# end-instance DIRECTORY UNIT [MAIN...] -- OTHER...
#
# Called when UNIT has ended for good, a main task of an instance. If each MAIN has too, the OTHERs of the instance are stopped, in the
# order that systemd has for them. In DIRECTORY, which is empty but for batch tasks, those note that they have run to their end. If all
# of these have, nothing is left to run for the OTHERs either, and that is noted for them.
directory=$1 unit=$2
shift 2
noted() {
    note=${1#k8s4r-task-}
    note=$directory/${note%.service}
}
# Two that end at the same time must not wait for each other, so each leaves a mark before it looks. The mark is of this run of the
# unit: whoever starts it again makes it invalid. restart-policy begins to count anew when it finds one.
run() {
    ask show --property=InvocationID --value "$1"
}
mkdir -p @RESTARTS@
# That its restart policy has given it up stays noted, for who looks why it is down.
over=
[ -r "@RESTARTS@/$unit" ] && read -r _ count state <"@RESTARTS@/$unit" && [ "$state" = over ] && over=" $count over"
echo "ended $(run "$unit")$over" >"@RESTARTS@/$unit"
all=yes
noted "$unit"
[ -n "$directory" ] && [ -e "$note" ] || all=
while [ "$1" != -- ]; do
    noted "$1"
    if [ -z "$directory" ] || [ ! -e "$note" ]; then
        all=
        [ -r "@RESTARTS@/$1" ] && read -r word id _ <"@RESTARTS@/$1" && [ "$word $id" = "ended $(run "$1")" ] || exit 0
    fi
    shift
done
shift
if [ -n "$all" ]; then
    for other; do
        noted "$other"
        touch "$note" && sync "$note" "$directory"
    done
fi
ask --no-block stop "$@"
