# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a release: other groups of this robot, other programs, missing users, a full disk."""

from __future__ import annotations

import os

from ..resources import kinds
from ..state import jsonfile
from ..system import accounts, ports

MARGIN = 16 * 1024 * 1024
SPARE_INODES = 64


def errors(robot, manifest):
    """Every conflict with what is on the robot."""
    mine = {(job["namespace"], job["name"]) for job in manifest["jobs"]}
    others = [record for record in robot.ledger.jobs() if (record["namespace"], record["name"]) not in mine]
    wanted = [group for job in manifest["jobs"] for group in job["groups"]]
    return _places(wanted, others) + _all_ports(robot, manifest, wanted, others) + _owners(wanted)


def _interrupted(robot):
    """The groups of a switch that was cut off: what runs of them is stopped before this release is switched to."""
    journal = robot.journal()
    manifest = jsonfile.load(robot.manifest_path(journal["release"])) if journal else None
    return [group for job in manifest["jobs"] for group in job["groups"]] if manifest else []


def _places(wanted, others):
    """Two groups own one path, unit or user: whoever is removed first would take it from the other."""
    owned = {}
    for record in others:
        for group in record["groups"].values():
            for resource in group["resources"] + group["leftovers"]:
                owned[kinds.place(resource)] = group["name"]
    found = []
    for group in wanted:
        for resource in group["resources"]:
            owner = owned.get(kinds.place(resource))
            if owner:
                found.append(f"{group['name']}: {kinds.label(resource)} belongs to {owner} on this robot")
    return found


def _all_ports(robot, manifest, wanted, others):
    homeless = ports.not_local([port for group in wanted for port in group["ports"]])
    declared = _ports(wanted, others)
    # A port of another job is mostly held by that job's proxy, too: said once.
    return homeless + [text for texts in declared.values() for text in texts] + _live_ports(robot, manifest, declared)


def _ports(wanted, others):
    """The wanted ports that other groups have: {place in the job file: texts}."""
    found, taken = {}, []
    for record in others:
        taken += [(port, group["name"]) for group in record["groups"].values() for port in group["ports"]]
    for group in wanted:
        for port in group["ports"]:
            for other, owner in taken:
                if other["port"] == port["port"] and ports.clash(other["address"], port["address"]):
                    text = "{}: port {} on {} belongs to {}".format(port["where"], port["port"], port["address"], owner)
                    found.setdefault(port["where"], []).append(text)
            taken.append((port, group["name"]))
    return found


def _live_ports(robot, manifest, declared):
    """A port is free, or held by what is gone when its group comes to it: its own last release, or a group that goes first."""
    free = _units(_interrupted(robot))
    found = []
    for job in manifest["jobs"]:
        before = robot.ledger.of(job)["groups"]
        for group in job["groups"]:
            own = _units([group, *([before[group["id"]]] if group["id"] in before else [])])
            if not group["resources"]:
                free |= own
            found += ports.taken([port for port in group["ports"] if port["where"] not in declared], free | own)
    return found


def _units(groups):
    return {resource["name"] for group in groups for resource in group["resources"] if resource["kind"] == "unit"}


def _owners(wanted):
    """Files can only be given to users that the plan makes or the robot has."""
    made = {resource["name"] for group in wanted for resource in group["resources"] if resource["kind"] == "user"}
    found = {}
    for group in wanted:
        for resource in group["resources"]:
            for what, exists in (("owner", accounts.user_exists), ("group", accounts.group_exists)):
                name = resource.get(what)
                if name and name not in made and not exists(name):
                    kind = "user" if what == "owner" else "group"
                    found[kind, name] = f"{group['name']}: there is no {kind} {name} on this robot"
    return sorted(found.values())


def space(robot, contents, resources):
    """Whether contents fit: once in the store, and once more beside what they replace."""
    staged = sum(len(content) for content in contents.values())
    needs = {robot.state: staged}
    for resource in resources:
        if "digest" in resource:
            directory = _existing(os.path.dirname(kinds.place(resource)))
            needs[directory] = needs.get(directory, 0) + len(contents.get(resource["digest"], b""))
    by_device = {}
    for directory, size in needs.items():
        directory = _existing(directory)
        device = os.stat(directory).st_dev
        first, before = by_device.get(device, (directory, 0))
        by_device[device] = (first, before + size)
    return [text for directory, size in by_device.values() for text in _room(directory, size, len(resources))]


def _room(directory, size, count):
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if free < size + MARGIN:
        needed = f"{_mebibytes(size)} and a margin of {_mebibytes(MARGIN)} are needed"
        yield f"disk full: the file system of {directory} has {_mebibytes(free)} free, and {needed}"
    # Some file systems count no inodes and say 0.
    if found.f_files and found.f_favail < 2 * count + SPARE_INODES:
        yield f"disk full: the file system of {directory} has {found.f_favail} inodes left"


def _existing(directory):
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def _mebibytes(size):
    return f"{size / 1048576:.1f} MiB"
