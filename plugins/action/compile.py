# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the jobs of a run, place them on the fleet and compile every robot; once per run, without a connection."""

from __future__ import annotations

import getpass
import re
import socket
import typing as t

from ..plugin_utils.compile.names import agent_id
from ..plugin_utils.fleet.catalogue import GROUP, fleet_from_inventory
from ..plugin_utils.fleet.placement import Placement, place
from ..plugin_utils.fleet.robots import Fleet
from ..plugin_utils.job.errors import JobErrors
from ..plugin_utils.job.model.job import Job
from ..plugin_utils.job.model.vocabulary import NAME
from ..plugin_utils.run import plans
from ..plugin_utils.run.job_files import JobFiles
from ..plugin_utils.run.sources import NO_JOB
from ..plugin_utils.transport import key
from ..plugin_utils.transport.action import Action, Fault, Result, Variables
from ..plugin_utils.transport.capabilities import Capabilities

NO_ROBOTS = f"the inventory has no robots: put the machines that may run task groups into the group `{GROUP}`"


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "job": {"type": "raw"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "namespace": {"type": "str", "default": "default"},
        "name": {"type": "str"},
        "keep_data": {"type": "bool", "default": False},
        "with_entries": {"type": "bool", "default": False},
    }
    FAULTS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.FAULTS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> Result:
        names = variables["groups"].get(GROUP, [])
        if not names:
            raise Fault(NO_ROBOTS)
        removal = arguments["state"] == "absent"
        jobs, warnings = self._read(arguments, variables, removal)
        cache = Capabilities(key.home())
        probed = {name: found for name in names if (found := cache.read(name)) is not None}
        reached = [name for name in variables["ansible_play_hosts"] if name in names]
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        unprobed = [] if removal else [name for name in reached if name not in probed]
        # For `prepare`, but given here, once: a template among its own arguments would take the controller 2 ms for each robot.
        wishes = {"keep_data": arguments["keep_data"], "with_entries": arguments["with_entries"]}
        if unprobed:
            # Which robots a constraint rules out, and what a robot can do, is known only when they have been asked.
            return {"unprobed": unprobed, "who": who, **wishes, "warnings": warnings}
        fleet = self._fleet(variables, probed)
        controller = key.controller_key()
        placement = Placement({})
        if removal:
            removed = [(job.namespace, job.name) for job in jobs] or [_named(arguments["namespace"], arguments["name"])]
            compiled = plans.removal(removed, reached, controller)
        else:
            placement = place(jobs, fleet)
            compiled, more = plans.deployment(jobs, fleet, placement, set(reached), controller)
            warnings += more
        return {
            "unprobed": [],
            "who": who,
            **wishes,
            "robots": {
                name: {
                    "jobs": robot.jobs,
                    "assumptions": {} if removal else probed.get(name, {}),
                    "agent": _agent(fleet, name),
                    "plan": robot.sealed,
                }
                for name, robot in compiled.items()
            },
            **({"reasons": _reasons(placement, fleet)} if self._display.verbosity else {}),
            "placement": {"/".join(group): dict(held) for group, held in placement.instances.items()},
            "warnings": warnings,
        }

    def _read(self, arguments: Variables, variables: Variables, removal: bool) -> tuple[list[Job], list[str]]:
        if removal and arguments["name"] and not arguments["job"]:
            return [], []
        jobs, warnings = JobFiles(self._loader, self._templar, variables).read(arguments["job"])
        if not jobs:
            raise Fault(NO_JOB + (", or -e job_namespace=<namespace> -e job_name=<name>" if removal else ""))
        return jobs, warnings

    def _fleet(self, variables: Variables, probed: t.Mapping[str, t.Mapping[str, str]]) -> Fleet:
        hosts = variables["hostvars"]

        def render(host: str, value: t.Any) -> t.Any:
            return self._templar.copy_with_new_env(available_variables=hosts.raw_get(host)).template(value)

        return fleet_from_inventory(variables["groups"], hosts.raw_get, probed, render)


def _named(namespace: str, name: str) -> tuple[str, str]:
    for what, given in (("namespace", namespace), ("name", name)):
        if not re.fullmatch(NAME, given):
            raise Fault(f"job_{what}: {given!r} is not a valid {what} of a job; the playbook k8s4r.robot.status shows all jobs")
    return namespace, name


def _reasons(placement: Placement, fleet: Fleet) -> dict[str, dict[str, str]]:
    """Why each robot holds these instances of each group, or none; for whoever asks with -v."""
    robots = [robot.name for robot in fleet.robots]
    return {"/".join(group): {robot: placement.reason(group, robot) for robot in robots} for group in placement.instances}


def _agent(fleet: Fleet, robot: str) -> str:
    return agent_id(fleet.trust_domain, robot, fleet.robot(robot).attestor) if fleet.trust_domain else ""
