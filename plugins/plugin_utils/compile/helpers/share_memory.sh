#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# share-memory DIRECTORY GROUP
#
# Called before a task starts (ExecStartPre): mounts a file system in memory, for the members of GROUP, at DIRECTORY, unless it is
# there already. A boot takes it away. Its size is Linux' own default, half of the robot's memory, as that of /dev/shm. Two tasks
# that start at one time must not mount one over the other, so one of them waits.
set -e
mkdir -p "$1"
exec 9<"$1"
flock 9
mountpoint -q "$1" || mount -t tmpfs -o "mode=1770,gid=$2,nosuid,nodev" k8s4r "$1"
