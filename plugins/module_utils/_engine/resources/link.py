# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbolic link."""

from __future__ import annotations

from ..system import files
from . import checks

KEYS = {"path": str, "target": str}


def check(where, resource):
    yield from checks.path(f"{where}.path", resource["path"])
    if not resource["target"] or checks.has_control(resource["target"]):
        yield "{}.target: {!r} is no path".format(where, resource["target"])


def place(resource):
    return resource["path"]


def expected(resource):
    return {"type": "link", "target": resource["target"]}


def actual(resource, observer):
    return observer.path(resource["path"])


def fix(resource, _robot):
    files.link(resource["path"], resource["target"])


def remove(resource):
    files.remove(resource["path"])


def outlives(_resource, _data):
    return False
