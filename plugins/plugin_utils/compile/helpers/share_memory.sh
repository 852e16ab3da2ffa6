#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# share-memory DIRECTORY GROUP [BYTES]
#
# Called before tasks of a group start: mounts a file system in memory, for the members of GROUP, at DIRECTORY, and gives one that is
# there already this size. A boot takes it away. Without BYTES its size is Linux' own default, half of the robot's memory, as that of
# /dev/shm. With BYTES it also has a bound for files, each of which takes memory though it is empty: one for each page.
set -e
size=${3:-50%}
[ -z "$3" ] || size="$3,nr_inodes=$(($3 / 4096 + 64))"
mkdir -p "$1"
if ! mountpoint -q "$1"; then
    mount -t tmpfs -o "mode=1770,gid=$2,nosuid,nodev,size=$size" k8s4r "$1"
elif ! mount -o "remount,nosuid,nodev,size=$size" "$1"; then
    echo "$1 keeps its former size: it holds more than ${3:-50%}" >&2
fi
