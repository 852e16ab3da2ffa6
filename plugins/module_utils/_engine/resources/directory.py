# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory with owner, group and mode; what programs put into it is theirs."""

from __future__ import annotations

from ..system import files
from ..system.accounts import group_id, user_id
from . import checks

KEYS = {"path": str, "owner": str, "group": str, "mode": str, "data": bool}


def check(where, resource):
    yield from checks.path(f"{where}.path", resource["path"])
    yield from checks.owned(where, resource)


def place(resource):
    return resource["path"]


def expected(resource):
    return {"type": "directory", "owner": resource["owner"], "group": resource["group"], "mode": resource["mode"]}


def actual(resource, observer):
    return observer.path(resource["path"])


def fix(resource, _robot):
    files.make_directory(resource["path"], user_id(resource["owner"]), group_id(resource["group"]), int(resource["mode"], 8))


def remove(resource):
    files.remove(resource["path"])


def outlives(resource, data):
    """The directory itself, and those above it."""
    return any(path == resource["path"] or path.startswith(resource["path"] + "/") for path in data)
