# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet whose robots have ledgers: what a run brings to each, and what they then say of themselves."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.mesh import known
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import manifest
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot as Machine
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.home import key
from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.mesh import sound
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import plans
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating.renderer import Renderer

KEY = key.Key(b"k" * 32)


def read(*texts):
    return reader.load([reader.Source(f"{text.partition(',')[0].removeprefix('{name: ')}.yml", text) for text in texts])[0]


class _Nobody:
    """The variables of a robot that has none."""

    def has(self, _name):
        return False


def renderer():
    """Of templates for robots without variables."""
    return Renderer(pathlib.Path("/"), str, lambda _name: _Nobody())


class Deployed:
    """A fleet whose robots have ledgers."""

    def __init__(self, directory, fleet):
        self.fleet = fleet
        self.machines = {
            robot.name: Machine(str(directory / robot.name / "state"), str(directory / robot.name / "run")) for robot in fleet.robots
        }
        for machine in self.machines.values():
            machine.make()

    def deploy(self, *texts, reached=None):
        """What a run brings, without a robot; the plans and warnings. ``reached``: robots, by default all."""
        jobs = read(*texts)
        found, warnings = plans.deployment(
            jobs, self.fleet, place(jobs, self.fleet), reached or self.machines, KEY, plans.Remembered(said=self.said()), renderer()
        )
        opened = {name: KEY.unseal(sealed.sealed) for name, sealed in found.items()}
        for name, each in opened.items():
            self._commit(self.machines[name], each["plan"])
        return opened, warnings

    def said(self):
        found = {name: known.of(machine) for name, machine in self.machines.items()}
        # As they come to the controller.
        assert all(map(sound, found.values()))
        return json.loads(json.dumps(found))

    def _commit(self, machine, plan):
        jobs = [{"namespace": job["namespace"], "name": job["name"], "digest": ""} for job in plan["jobs"]]
        built = manifest.build({"jobs": jobs, "plan": plan, "who": ""}, "one", machine.ledger, machine.store.put)
        for job in built["jobs"]:
            groups = {
                group["id"]: {**group, "release": "one", "committed": 0, "leftovers": [], "started": {}}
                for group in job["groups"]
                if group["resources"]
            }
            machine.ledger.save(
                {"namespace": job["namespace"], "name": job["name"], "state": "whole", "plan": "", "groups": groups, "robot": ""}
            )
