# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the jobs of a run, place them on the fleet and compile every robot, without a connection.

Once, and again where a robot is not as it was assumed to be.
"""

from __future__ import annotations

import getpass
import re
import socket
import typing as t

from ..compile.mesh import identity, outside
from ..compile.names import agent_id
from ..compile.network import across
from ..compile.site.site import Rendering
from ..fleet.catalogue import GROUP, addresses_of_several, names_of_one_machine
from ..fleet.placement import Placement
from ..fleet.robots import Fleet, Robot
from ..home import key
from ..home.mesh import NOTHING, Mesh
from ..home.ports import Ports
from ..job.addresses import plain
from ..job.errors import JobErrors
from ..job.model.job import Job
from ..job.model.vocabulary import NAME, JobType
from ..run import placing, plans
from ..run.action import Action, ActionProblem, Result, Variables
from ..run.job_files.reading import JobFiles
from ..run.sources import NO_JOB

OR_BY_NAME = "or name the job: add -e job_name=<name> and, unless it is `default`, -e job_namespace=<namespace>"
ASK_ALL = (
    "this uses the robots' last reports, and a run asks only its own robots; "
    "to ask all robots: ansible-playbook -i <inventory> k8s4r.robot.capabilities"
)
NO_ROBOTS = f"the inventory has no robots: put the machines that may run task groups into the group `{GROUP}`"
# What one robot is to have depends on what others have: they answer first, and switch in turns.
IN_PARTS = (
    "the play has the keyword `serial`, and a run deploys to all robots of its play at once: remove the keyword; to deploy to some robots "
    "before others, run again with another --limit"
)


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "job": {"type": "raw"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "namespace": {"type": "str", "default": "default"},
        "name": {"type": "str"},
        "keep_data": {"type": "bool", "default": False},
        "refresh": {"type": "bool", "default": False},
        "verify_entries": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": False},
        "wait_seconds": {"type": "int"},
        "asked": {"type": "bool", "default": False},
    }
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.PROBLEMS, JobErrors)
    # Ansible has no run that fails without a host.
    OF_RUN: t.ClassVar[str] = "no job was changed on any robot; Ansible counts the error for one robot, but it is the run's"

    def act(self, arguments: Variables, variables: Variables) -> Result:
        robots = set(variables["groups"].get(GROUP, ()))
        if not robots:
            raise ActionProblem(NO_ROBOTS)
        if len(variables["ansible_play_batch"]) < len(variables["ansible_play_hosts"]):
            raise ActionProblem(IN_PARTS)
        reached = [name for name in variables["ansible_play_hosts"] if name in robots]
        compile_plans = self._removal if arguments["state"] == "absent" else self._deployment
        return {
            "state": arguments["state"],
            "unprobed": [],
            # Whether jobs that are removed may have registration entries that no robot knows of any more.
            "identities": False,
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
            # For `prepare`, but given here, once: a template among its own arguments would take the controller 2 ms for each robot.
            "keep_data": arguments["keep_data"],
            "refresh": arguments["refresh"],
            "verify_entries": arguments["verify_entries"],
            **compile_plans(arguments, variables, reached),
        }

    def _removal(self, arguments: Variables, variables: Variables, reached: t.Sequence[str]) -> Result:
        """The jobs, given by their files or one by its name, are taken from every robot that is reached."""
        if arguments["job"] and arguments["name"]:
            raise ActionProblem(f"both job (files) and job_name ({arguments['name']}) are given: give only one of them")
        if not arguments["name"]:
            try:
                jobs, warnings = self._read(arguments, variables, f"{NO_JOB}; {OR_BY_NAME}")
            except JobErrors as errors:
                raise ActionProblem(f"{errors}\n{OR_BY_NAME}") from None
            removed = [(job.namespace, job.name) for job in jobs]
            identities = any(identity.needed(group.network) for job in jobs for group in job.task_groups)
        else:
            removed, warnings, identities = [_named(arguments["namespace"], arguments["name"])], [], True
        sealed = plans.removal(removed, reached, key.controller_key())
        fleet = placing.fleet(variables, {}, self._templar)
        gone = [f"{namespace}/{name}" for namespace, name in removed]
        warnings += map(str, outside.orphans(gone, fleet, _said(_names(fleet)), set(reached)))
        return {"robots": _robots(sealed, fleet, {}), "placement": {}, "identities": identities, "warnings": warnings}

    def _deployment(self, arguments: Variables, variables: Variables, reached: t.Sequence[str]) -> Result:
        """The jobs are placed on the fleet and compiled, unless a robot that is reached was never asked what it can do."""
        jobs, warnings = self._read(arguments, variables, NO_JOB)
        probed = placing.probed(variables)
        unprobed = [name for name in reached if name not in probed]
        if unprobed:
            # Which robots a constraint rules out, and what a robot can do, is known only when they have been asked.
            return {"unprobed": unprobed, "warnings": warnings}
        jobs, doubts = self._files(variables).with_certificates(jobs)
        fleet = placing.fleet(variables, probed, self._templar)
        render = self._files(variables).renderer(reached)
        said = _said(_names(fleet))
        unheard = {name for name, known in said.items() if known is NOTHING}
        remembered = plans.Remembered(Ports(key.home()).read, said, unheard)
        if not arguments["asked"] and not unheard.isdisjoint(reached) and across.asks(jobs, fleet):
            return {"unprobed": reached, "warnings": warnings}
        try:
            placement = placing.placed(jobs, fleet)
            sealed, more = plans.deployment(jobs, fleet, placement, set(reached), key.controller_key(), remembered, render)
        except JobErrors as errors:
            unasked = placing.fleet(variables, {}, self._templar)
            if not (outside.asks(jobs) or _rest_on_reports(errors, jobs, unasked, render)):
                raise
            if not arguments["asked"]:
                return {"unprobed": reached, "warnings": warnings}
            if set(reached) < set(probed):
                raise ActionProblem(f"{errors}\n{ASK_ALL}") from None
            raise
        systems = {(job.namespace, job.name) for job in jobs if job.type is JobType.SYSTEM}
        return {
            "robots": _robots(sealed, fleet, probed, remembered.said if outside.concerns(jobs, remembered.said) else {}),
            **({"reasons": _reasons(placement, fleet)} if self._display.verbosity else {}),
            "placement": {"/".join(group): dict(held) for group, held in placement.instances.items()},
            "everywhere": ["/".join(group) for group in placement.instances if group[:2] in systems],
            "addresses": {name: _addresses(fleet.robot(name)) for name in placing.serving(jobs, placement)},
            "unheard": _unheard(jobs, fleet, remembered.said),
            "outdated": outside.outdated(jobs, remembered.said),
            "files": {f"{job.namespace}/{job.name}": job.path for job in jobs},
            "warnings": warnings + doubts + more + names_of_one_machine(fleet) + addresses_of_several(fleet),
        }

    def _files(self, variables: Variables) -> JobFiles:
        def deployed() -> set[tuple[str, str]]:
            return outside.deployed(_said(variables["groups"].get(GROUP, ())))

        return JobFiles(self._loader, self._templar, variables, deployed=deployed)

    def _read(self, arguments: Variables, variables: Variables, otherwise: str) -> tuple[list[Job], list[str]]:
        """The jobs of the option `job`, and warnings; `otherwise` is the error where it names none."""
        jobs, warnings = self._files(variables).read(arguments["job"])
        if not jobs:
            raise ActionProblem(otherwise)
        return jobs, warnings


def _rest_on_reports(errors: JobErrors, jobs: t.Sequence[Job], unasked: Fleet, render: Rendering) -> bool:
    """Whether there would be other errors if no robot had reported anything: then a report that is out of date may be the cause."""
    try:
        plans.check(jobs, unasked, placing.placed(jobs, unasked), render)
    except JobErrors as others:
        return set(errors.errors) != set(others.errors)
    return True


def _names(fleet: Fleet) -> list[str]:
    return [robot.name for robot in fleet.robots]


def _said(robots: t.Iterable[str]) -> outside.Said:
    """What each of these robots said last that its groups serve and call."""
    mesh = Mesh(key.home())
    return {name: mesh.read(name) for name in robots}


def _unheard(jobs: t.Sequence[Job], fleet: Fleet, said: outside.Said) -> dict[str, t.Sequence[str]]:
    """The addresses of robots that have never told what they serve, or whose word is lost, where the jobs call services of others."""
    return {robot.name: _addresses(robot) for robot in fleet.robots if said[robot.name] is NOTHING} if outside.asks(jobs) else {}


def _addresses(robot: Robot) -> list[str]:
    """As endpoints have them."""
    return list(map(plain, robot.reached_at))


def _robots(sealed: t.Mapping[str, plans.SealedPlan], fleet: Fleet, probed: placing.Probed, said: outside.Said | None = None) -> Result:
    """By robot, what `prepare` needs. A removal assumes nothing of a robot, so that it never has to ask again."""
    return {
        name: {
            "jobs": plan.jobs,
            "assumptions": probed.get(name, {}),
            "agent": _agent(fleet, name),
            "downloads": fleet.robot(name).downloads,
            "plan": plan.sealed,
            **({"mesh": said[name]["digest"], "tells": list(plan.tells)} if said else {}),
        }
        for name, plan in sealed.items()
    }


def _named(namespace: str, name: str) -> tuple[str, str]:
    for what, given in (("namespace", namespace), ("name", name)):
        if not re.fullmatch(NAME, given):
            several = "give one job, or `job` with the files of several" if "," in given else ""
            remedy = "give the namespace as job_namespace" if "/" in given else several or "the playbook k8s4r.robot.status shows all jobs"
            raise ActionProblem(f"job_{what}: {given!r} is not a valid {what} of a job; {remedy}")
    return namespace, name


def _reasons(placement: Placement, fleet: Fleet) -> dict[str, dict[str, str]]:
    """Why each robot runs these instances of each group, or none; shown with -v."""
    robots = [robot.name for robot in fleet.robots]
    return {"/".join(group): {robot: placement.reason(group, robot) for robot in robots} for group in placement.instances}


def _agent(fleet: Fleet, robot: str) -> str:
    return agent_id(fleet.trust_domain, robot, fleet.robot(robot).attestor) if fleet.trust_domain else ""
