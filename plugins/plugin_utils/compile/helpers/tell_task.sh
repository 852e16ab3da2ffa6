#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tell-task UNIT
#
# Has a task take in changed files. systemd drops a reload of a unit that is still starting, and by then the task may already have copied
# the old files. One that waits for its next try is not waited for: it copies them when it starts.
while :; do
    case $(systemctl show --property SubState --value -- "$1") in
        condition | start-pre | start | start-post) sleep 0.5 ;;
        *) break ;;
    esac
done
exec systemctl --no-block try-reload-or-restart -- "$1"
