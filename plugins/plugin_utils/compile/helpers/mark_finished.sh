#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mark-finished UNIT FILE [COMMAND...]
#
# Called when a batch task ends (ExecStopPost): makes FILE, which keeps the task from running again, if the program came
# to its own good end. A program that is stopped or restarted on request, or by a shutdown, or at its timeout, may exit
# with 0 too, having saved its state: it has not finished. COMMAND is run when the task has. FILE is empty
# for one that runs again.
unit=$1 file=$2
shift 2
[ "$SERVICE_RESULT" = success ] && [ "$EXIT_STATUS" = 0 ] || exit 0
jobs=$(ask list-jobs --no-legend --plain "$unit") || exit 1
case "$jobs" in
    # A job of the type start only waits for this end, as when the group's target is started just now.
    *" stop "* | *" restart "* | *" try-restart "*) exit 0 ;;
esac
# On the disk at once: many a robot is switched off when it has done its work.
[ -z "$file" ] || { : >"$file" && sync "$file" "${file%/*}"; }
[ $# -eq 0 ] || exec "$@"
