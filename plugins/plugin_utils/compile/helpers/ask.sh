#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# For other programs, which begin with this: ask systemctl. For a moment while systemd executes itself anew (daemon-reexec), it gives no
# answer, and does not hear what it is asked for.
ask() {
    tries=0
    until systemctl "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 15 ] || return 1
        sleep 0.2
    done
}
