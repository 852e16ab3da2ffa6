#!/bin/sh
# Copyright (c) k8s4r.robot contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bind-namespaces DIRECTORY
#
# Called when a process that is to hold namespaces has been started (ExecStartPost): puts a file for each into DIRECTORY, by which
# tasks enter it. The main process is `unshare`: until it has made the namespaces, it is in the robot's own, and then
# that of its child has no file yet.
set -e
own=/proc/$MAINPID/ns
while [ ! -e "$own/pid_for_children" ] || [ "$own/pid_for_children" -ef /proc/1/ns/pid ]; do
    [ -d "$own" ]
    sleep 0.01
done
for kind in pid_for_children ipc uts; do
    file=$1/${kind%_for_children}
    : >"$file"
    mount --bind "$own/$kind" "$file"
done
