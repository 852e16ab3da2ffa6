#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-file PATH
#
# Waits until PATH exists. The unit's start timeout bounds the time: asked to end, it says what it has waited for. The PATH
# is the task's, so nothing here depends on it.
trap 'echo "$1 does not exist" >&2; exit 1' HUP INT QUIT TERM
until [ -e "$1" ]; do
    /bin/sleep 0.1
done
