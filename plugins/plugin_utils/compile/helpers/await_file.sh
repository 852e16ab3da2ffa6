#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-file PATH
#
# Waits until PATH exists; the unit's start timeout bounds the time. The PATH
# is the task's, so nothing here depends on it.
until [ -e "$1" ]; do
    /bin/sleep 0.1
done
