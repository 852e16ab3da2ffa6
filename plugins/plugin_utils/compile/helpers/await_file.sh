#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# await-file PATH
#
# Waits until PATH exists; the unit's start timeout bounds the time.
until [ -e "$1" ]; do
    sleep 0.1
done
