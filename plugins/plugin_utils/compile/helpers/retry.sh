#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# retry ATTEMPTS DELAY COMMAND...
#
# Runs the command of an init task or a hook until it succeeds, at most ATTEMPTS times more, with DELAY seconds in between. Restart= of
# systemd would come too late: by then everything that requires it has failed.
# The command has the task's PATH, so nothing here depends on it.
attempts=$1 delay=$2
shift 2
until "$@"; do
    status=$?
    [ "$attempts" -gt 0 ] || exit "$status"
    attempts=$((attempts - 1))
    /bin/sleep "$delay"
done
