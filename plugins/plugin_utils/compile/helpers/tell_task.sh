#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tell-task UNIT
#
# Has a task take in files that have changed. systemd drops the reload of a unit that is still starting, and the task may have copied the
# files by then as they were.
while [ "$(systemctl show --property ActiveState --value -- "$1")" = activating ]; do
    sleep 0.5
done
exec systemctl --no-block try-reload-or-restart -- "$1"
