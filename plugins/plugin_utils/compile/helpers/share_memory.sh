#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# share-memory DIRECTORY GROUP [BYTES]
#
# Called before tasks of a group start: mounts a file system in memory, for the members of GROUP, at DIRECTORY, and gives one that is
# there already this size. A boot takes it away. Without BYTES its size is Linux' own default, half of the robot's memory, as that of
# /dev/shm.
set -e
size=${3:-50%}
mkdir -p "$1"
if ! mountpoint -q "$1"; then
    mount -t tmpfs -o "mode=1770,gid=$2,nosuid,nodev,size=$size" k8s4r "$1"
elif ! mount -o "remount,nosuid,nodev,size=$size" "$1"; then
    echo "$1 keeps its former size: it holds more than $size" >&2
fi
