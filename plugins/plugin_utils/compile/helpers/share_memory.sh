#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# share-memory DIRECTORY GROUP
#
# Called before the first task of a group starts: mounts a file system in memory, for the members of GROUP, at DIRECTORY, unless it is
# there already. A boot takes it away. Its size is Linux' own default, half of the robot's memory, as that of /dev/shm.
set -e
mkdir -p "$1"
mountpoint -q "$1" || mount -t tmpfs -o "mode=1770,gid=$2,nosuid,nodev" k8s4r "$1"
