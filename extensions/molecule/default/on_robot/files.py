# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a robot: every file and directory that a run of ours may write, with owner, mode, size and time, as JSON.

Not the directories that tasks write in by themselves.
"""

from __future__ import annotations

import json
import os

PLACES = ("/etc", "/opt", "/var/lib/k8s4r")
THEIRS = ("/var/lib/k8s4r/tasks", "/var/lib/k8s4r/groups")

found = []
for place in PLACES:
    for directory, directories, files in os.walk(place):
        directories[:] = [name for name in directories if os.path.join(directory, name) not in THEIRS]
        for path in [directory, *(os.path.join(directory, name) for name in files)]:
            seen = os.lstat(path)
            found.append(f"{path} {seen.st_mode:o} {seen.st_uid}:{seen.st_gid} {seen.st_size} {seen.st_mtime_ns}")
print(json.dumps(sorted(found)))
