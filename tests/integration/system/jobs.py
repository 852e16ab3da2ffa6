# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as data; a job file is YAML, and JSON is YAML."""

from __future__ import annotations

import json
import typing as t

PYTHON = "/usr/bin/python3"


def task(name: str, program: str, **resources: t.Any) -> dict[str, t.Any]:
    """A task that is one Python program."""
    return {"name": name, "config": {"execConfig": {"command": PYTHON, "args": ["-c", program]}}, "resources": resources}


def job(name: str, *more: dict[str, t.Any], **group: t.Any) -> str:
    """A job for the virtual machine, of one group, ``main``, and more."""
    groups = [{"name": "main", **group}, *more]
    return json.dumps({"name": name, "type": "system", "robotSelector": {"role": "vm"}, "taskGroups": groups})
