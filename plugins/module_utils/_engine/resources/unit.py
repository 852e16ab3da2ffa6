# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd unit file. Whether its unit runs is the business of steps.py: that depends on other files too."""

from __future__ import annotations

import re

from ..plan import UNIT_DIRECTORY
from ..system import files
from . import checks

KEYS = {"name": str, "content": str, "run": str, "reads": list}
NAME = r"k8s4r-[A-Za-z0-9_.:@\\-]{1,200}\.(service|target|slice|socket|timer|path)"
# Names that the engine uses for itself.
ENGINE = r"k8s4r-(recover|prepare-.*|switch-.*)\.service"
RUNS = ("none", "always", "init", "once")


def check(where, resource):
    if not re.fullmatch(NAME, resource["name"]) or re.fullmatch(ENGINE, resource["name"]):
        yield "{}.name: {!r} is no name of a unit of ours".format(where, resource["name"])
    if resource["run"] not in RUNS:
        yield "{}.run: {!r} is none of {}".format(where, resource["run"], ", ".join(RUNS))
    if resource.get("done") is not None:
        yield from checks.path(f"{where}.done", resource["done"])


def place(resource):
    return "{}/{}".format(UNIT_DIRECTORY, resource["name"])


def expected(resource):
    return {"type": "file", "owner": "root", "group": "root", "mode": "0644", "content": resource["digest"]}


def actual(resource, observer):
    return observer.path(place(resource))


def fix(resource, robot):
    files.write(place(resource), robot.store.read(resource["digest"]), 0, 0, 0o644)


def remove(resource):
    files.remove(place(resource))


def outlives(_resource, _data):
    return False
