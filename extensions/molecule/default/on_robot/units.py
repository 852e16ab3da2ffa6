# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a robot: every loaded unit of ours with its state, restarts and invocation, as JSON by the unit's name."""

from __future__ import annotations

import json
import subprocess

PROPERTIES = "Id,ActiveState,SubState,NRestarts,InvocationID"


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


names = [line.split()[0] for line in said("systemctl", "list-units", "--plain", "--no-legend", "k8s4r-*").splitlines()]
# Those of a task's log start with the task, and change when it writes its first line; a run's own end a moment after it has told its
# result.
names = [name for name in names if not name.startswith(("k8s4r-log-", "k8s4r-log@", "k8s4r-switch-", "k8s4r-prepare-"))]
blocks = said("systemctl", "show", f"--property={PROPERTIES}", *names).split("\n\n") if names else []
units = [dict(line.split("=", 1) for line in block.splitlines() if line) for block in blocks]
print(json.dumps({unit.pop("Id"): unit for unit in units}, sort_keys=True))
