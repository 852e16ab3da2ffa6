#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-command COMMAND
#
# Waits until the shell command succeeds. The unit's start timeout bounds the time: asked to end, it says how the command
# last ended. The PATH is the task's, and the command's own business.
status=none
trap 'echo "the command of readiness, at its last end: exit status $status" >&2; exit 1' HUP INT QUIT TERM
until /bin/sh -c "$1"; do
    status=$?
    /bin/sleep 0.2
done
