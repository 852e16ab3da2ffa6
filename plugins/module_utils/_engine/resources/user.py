# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system user of its own primary group, declared for systemd-sysusers so that the declaration outlives us."""

from __future__ import annotations

import re

from ..system import command, files
from ..system.accounts import user_exists
from . import checks

KEYS = {"name": str, "description": str}
NAME = r"k8s4r-[a-z0-9_-]{1,25}"
DIRECTORY = "/etc/sysusers.d"


def check(where, resource):
    if not re.fullmatch(NAME, resource["name"]):
        yield "{}.name: {!r} is no name of a user of ours".format(where, resource["name"])
    if checks.has_control(resource["description"]) or ":" in resource["description"]:
        yield f"{where}.description: control characters and colons cannot stand there"


def place(resource):
    return "{}/{}.conf".format(DIRECTORY, resource["name"])


def declaration(resource):
    """The sysusers.d(5) file: a user without home and shell."""
    description = resource["description"].replace("\\", "\\\\").replace('"', '\\"')
    return 'u {} - "{}" - -\n'.format(resource["name"], description)


def expected(resource):
    return {"type": "user", "declaration": declaration(resource), "exists": True}


def actual(resource, _observer):
    try:
        with open(place(resource), encoding="utf-8", errors="replace") as stream:
            declared = stream.read()
    except FileNotFoundError:
        declared = None
    exists = user_exists(resource["name"])
    if declared is None and not exists:
        return None
    return {"type": "user", "declaration": declared, "exists": exists}


def fix(resource, _robot):
    files.write(place(resource), declaration(resource).encode("utf-8"), 0, 0, 0o644)
    command.need(["systemd-sysusers", place(resource)], timeout=60)


def remove(resource):
    if user_exists(resource["name"]):
        command.need(["userdel", resource["name"]], timeout=60)
    files.remove(place(resource))


def outlives(_resource, data):
    """Without its user, data would belong to a number, which the next new user gets."""
    return bool(data)
