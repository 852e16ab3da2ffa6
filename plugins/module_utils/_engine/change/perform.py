# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out the steps of one group."""

from __future__ import annotations

import json
import time

from ..plan import RESTARTS
from ..resources import kinds
from ..system import files, ports, systemd
from . import health, steps


def silence(_text):
    """The progress of work that nobody waits for."""


class Performer:
    """Performs the steps of one group of one job, and writes down in the ledger what they achieved."""

    def __init__(self, robot, release, job, group, progress):
        self.robot = robot
        self.release = release
        self.job = job
        self.group = group
        self.progress = progress
        self.began = time.time()
        self._verbs = {
            "make": self._make,
            "union": self._union,
            "reload": lambda _step: systemd.reload(),
            "stop": self._stop,
            "clear": self._clear,
            "restart": lambda step: systemd.enqueue("restart", step["units"]),
            "start": lambda step: systemd.enqueue("start", step["units"]),
            "healthy": self._healthy,
            "commit": self._commit,
            "remove": lambda step: kinds.KINDS[step["resource"]["kind"]].remove(step["resource"]),
            "pruned": self._pruned,
        }

    def perform(self, step):
        if step["text"]:
            self.progress(step["text"])
        self._verbs[step["do"]](step)

    def _make(self, step):
        kinds.KINDS[step["resource"]["kind"]].fix(step["resource"], self.robot)

    def _union(self, step):
        resource = step["resource"]
        with open(resource["path"], "rb") as stream:
            before = stream.read()
        kinds.file.put(resource, union(before, self.robot.store.read(resource["digest"]), resource["union"]))

    def _stop(self, step):
        systemd.stop(step["units"])
        self._forget_restarts(step["units"])
        # A unit that failed would stay in systemd's memory when its file is gone.
        systemd.reset_failed(step["units"])

    def _forget_restarts(self, units):
        for unit in units:
            files.remove(f"{self.robot.runtime}/{RESTARTS}/{unit}")

    def _clear(self, step):
        """Take away what would keep a unit from a fresh start, and the word that it started well."""
        names = [unit["name"] for unit in step["units"]]
        self._forget(names)
        self._forget_restarts(names)
        for unit in step["units"]:
            if unit["done"]:
                files.remove(unit["done"])
        systemd.reset_failed(names)

    def _forget(self, units):
        """Before the restart: a run that dies after it must not take the old word for the new start."""
        record = self.robot.ledger.of(self.job)
        group = record["groups"].get(self.group["id"])
        if group and any(group["started"].pop(unit, None) for unit in units):
            self.robot.ledger.save(record)

    def _healthy(self, step):
        units = [resource for resource in self.group["resources"] if resource["kind"] == "unit" and resource["name"] in step["units"]]
        self.progress("wait until {} is healthy".format(self.group["name"]))
        health.wait(units, self.began)
        taken = ports.taken(self.group["ports"], {unit["name"] for unit in units})
        if taken:
            # A proxy runs on without the listener that it could not have.
            raise health.Unhealthy(taken)

    def _commit(self, step):
        resources = self.group["resources"]
        self._record(
            {
                "name": self.group["name"],
                "release": self.group.get("release", self.release),
                "committed": self.group.get("committed", time.time()),
                "resources": resources,
                "leftovers": step["leftovers"],
                "started": steps.run_digests(resources, self.robot.digest),
                "needs": self.group["needs"],
                "ports": self.group["ports"],
                "secrets": self.group["secrets"],
            }
        )

    def _pruned(self, step):
        record = self.robot.ledger.group(self.job, self.group["id"])
        self._record(dict(record, leftovers=step["leftovers"]))

    def _record(self, group):
        record = self.robot.ledger.of(self.job)
        # Until all groups of the job are committed, it is not what the controller's digest stands for.
        record["digest"] = None
        if group["resources"] or group["leftovers"]:
            record["groups"][self.group["id"]] = group
        else:
            record["groups"].pop(self.group["id"], None)
        self.robot.ledger.save(record)


def union(before, after, members):
    """A JSON file's new content with those of its old members beside it whose name the new one has not got."""
    try:
        old = json.loads(before.decode("utf-8"))[members]
        new = json.loads(after.decode("utf-8"))
        names = {member["name"] for member in new[members]}
        new[members] = new[members] + [member for member in old if member["name"] not in names]
    except (ValueError, KeyError, TypeError):
        # Not what we wrote: there is nothing in it that could be kept.
        return after
    return json.dumps(new, sort_keys=True, indent=2).encode("utf-8")
