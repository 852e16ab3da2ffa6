#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-command COMMAND
#
# Waits until the shell command succeeds; the unit's start timeout bounds the time. The command has the task's PATH, so
# nothing here depends on it.
until /bin/sh -c "$1"; do
    /bin/sleep 0.2
done
