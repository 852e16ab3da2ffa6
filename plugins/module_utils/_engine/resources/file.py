# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole file with owner, group and mode."""

from __future__ import annotations

from ..plan import UNIT_DIRECTORY
from ..system import files
from ..system.accounts import group_id, user_id
from . import checks

KEYS = {"path": str, "content": str, "owner": str, "group": str, "mode": str, "secret": bool}


def check(where, resource):
    yield from checks.path(f"{where}.path", resource["path"])
    yield from checks.owned(where, resource)
    if resource["path"].startswith(UNIT_DIRECTORY + "/") and resource["path"].count("/") == 4:
        yield f"{where}.path: a unit file is a resource of the kind unit"


def place(resource):
    return resource["path"]


def expected(resource):
    return {
        "type": "file",
        "owner": resource["owner"],
        "group": resource["group"],
        "mode": resource["mode"],
        "content": resource["digest"],
    }


def actual(resource, observer):
    return observer.path(resource["path"])


def fix(resource, robot):
    put(resource, robot.store.read(resource["digest"]))


def put(resource, content):
    files.write(
        resource["path"],
        content,
        user_id(resource["owner"]),
        group_id(resource["group"]),
        int(resource["mode"], 8),
    )


def remove(resource):
    files.remove(resource["path"])


def outlives(_resource, _data):
    return False
