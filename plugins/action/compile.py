# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the jobs of a run, place them on the fleet and compile every robot; once per run, without a connection."""

from __future__ import annotations

import functools
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
from ..plugin_utils.run.library import Library
from ..plugin_utils.run.parcel import Parcel
from ..plugin_utils.run.slices import compile_fleet
from ..plugin_utils.run.sources import NO_JOB, Source
from ..plugin_utils.transport import key
from ..plugin_utils.transport.action import Action, Fault
from ..plugin_utils.transport.capabilities import Capabilities

Variables = t.Mapping[str, t.Any]
NO_ROBOTS = f"the inventory has no robots: put the machines that may run task groups into the group `{GROUP}`"


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "job": {"type": "raw"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "namespace": {"type": "str", "default": "default"},
        "name": {"type": "str"},
    }
    FAULTS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.FAULTS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        names = variables["groups"].get(GROUP, [])
        if not names:
            raise Fault(NO_ROBOTS)
        removal = arguments["state"] == "absent"
        library = Library(self._loader, self._templar, variables)
        sources, jobs, warnings = self._read(library, arguments, removal)
        cache = Capabilities(key.home())
        probed = {name: found for name in names if (found := cache.read(name)) is not None}
        reached = [name for name in variables["ansible_play_hosts"] if name in names]
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        unprobed = [] if removal else [name for name in reached if name not in probed]
        if unprobed:
            # Which robots a constraint removes, and what a robot can do, is known only when they have been asked.
            return {"unprobed": unprobed, "who": who, "warnings": warnings}
        fleet = self._fleet(variables, probed)
        if removal:
            removed = tuple((job.namespace, job.name) for job in jobs) or (_named(arguments["namespace"], arguments["name"]),)
            parcel = Parcel(removed=removed, fleet=fleet)
        else:
            parcel = Parcel(sources=tuple(sources), fleet=fleet, placement=place(jobs, fleet))
        secret = key.controller_key()
        slices = compile_fleet(jobs, parcel, functools.partial(key.digest, secret))
        return {
            "unprobed": [],
            "who": who,
            "robots": {
                name: {
                    "jobs": wanted,
                    "assumptions": {} if removal else probed.get(name, {}),
                    "agent": _agent(fleet, name),
                    "share": key.seal(secret, parcel.share(name, slices.peers[name])),
                }
                for name, wanted in slices.robots.items()
            },
            **({"reasons": _reasons(parcel.placement, fleet)} if self._display.verbosity else {}),
            "placement": {"/".join(group): dict(held) for group, held in parcel.placement.instances.items()},
            "texts": key.seal(secret, parcel.texts()),
            "warnings": [*warnings, *slices.warnings],
        }

    def _read(self, library: Library, arguments: Variables, removal: bool) -> tuple[list[Source], list[Job], list[str]]:
        if removal and arguments["name"] and not arguments["job"]:
            return [], [], []
        sources = library.sources(arguments["job"])
        if not sources:
            raise Fault(NO_JOB + (", or -e job_namespace=<namespace> -e job_name=<name>" if removal else ""))
        return (sources, *library.jobs(sources))

    def _fleet(self, variables: Variables, probed: t.Mapping[str, t.Mapping[str, str]]) -> Fleet:
        hosts = variables["hostvars"]

        def render(host: str, value: t.Any) -> t.Any:
            return self._templar.copy_with_new_env(available_variables=hosts.raw_get(host)).template(value)

        return fleet_from_inventory(variables["groups"], hosts.raw_get, probed, render)


def _named(namespace: str, name: str) -> tuple[str, str]:
    for what, given in (("namespace", namespace), ("name", name)):
        if not re.fullmatch(NAME, given):
            raise Fault(f"job_{what}: {given!r} is no {what} of a job; the playbook k8s4r.robot.status shows those that robots hold")
    return namespace, name


def _reasons(placement: Placement, fleet: Fleet) -> dict[str, dict[str, str]]:
    """Why each robot holds what it holds of each group, and why not; for whoever asks with -v."""
    robots = [robot.name for robot in fleet.robots]
    return {"/".join(group): {robot: placement.reason(group, robot) for robot in robots} for group in placement.instances}


def _agent(fleet: Fleet, robot: str) -> str:
    return agent_id(fleet.trust_domain, robot, fleet.robot(robot).attestor) if fleet.trust_domain else ""
