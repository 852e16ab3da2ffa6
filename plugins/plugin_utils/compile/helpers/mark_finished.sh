#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# mark-finished FILE
#
# Called when a batch task ends (ExecStopPost): makes FILE, which keeps the task from running again, if the program
# itself ended well. A stop on request, at a shutdown too, is a success to systemd, but it is not the task's own end.
[ "$EXIT_STATUS" != 0 ] || : >"$1"
