# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the robots' answers together, once: stop when any robot refuses, else say which robot needs what next."""

from __future__ import annotations

import pathlib
import typing as t

from ..fleet.catalogue import GROUP
from ..job.errors import few
from ..run.action import Action, ActionProblem, Result, Variables, registered
from ..run.followers import followers
from ..run.moves import moves
from ..run.outcome import AGAIN, AGENT, NO_SERVER, SERVER, Answers, missing, refusals, still_missing, taken_over, untold, what_next
from ..run.server import refuse_mistaken
from ..show.summary import MOST, line, summary

# A robot may be asked what it can do, and then which ports it has.
MOST_ROUNDS = 3
TASKS = pathlib.Path(__file__).resolve().parents[3] / "playbooks" / "tasks"
NOTHING_TO_REMOVE = "No robot {} has any of these jobs: {}. The playbook k8s4r.robot.status lists the jobs that the robots have."

ASKED = "{}: asked what jobs can use there; the jobs are compiled again, and the changes follow"
SAID = "as said above"


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "again": {"type": "bool", "default": False},
        "provisioned": {"type": "bool", "default": False},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        robots = set(variables["groups"].get(GROUP, ()))
        reached = [name for name in variables["ansible_play_hosts"] if name in robots]
        answers: Answers = {name: registered(variables["hostvars"].raw_get(name), arguments["prepared"], "prepare") for name in reached}
        refused = refusals(answers)
        if refused:
            raise ActionProblem(refused)
        run = registered(variables, arguments["compiled"], "compile")
        servers = variables["groups"].get(SERVER, [])
        agents_needed = any(AGENT in missing(answer) for answer in answers.values())
        self._refuse_to_provision(arguments, variables, answers, servers)
        check = bool(self._task.check_mode)
        lost = sorted(robots.intersection(variables["ansible_play_hosts_all"]).difference(reached))
        if run["state"] == "absent" and {answer["status"] for answer in answers.values()} == {"unchanged"}:
            asked = "that answered" if lost else "of this run"
            self._display.display(NOTHING_TO_REMOVE.format(asked, few(sorted(_jobs(run)), MOST)))
        placed = run.get("placement", {})
        told = followers(answers, placed, run.get("addresses", {}), run.get("unheard", {}))
        moving = {name: found for name in answers if (found := moves(name, answers, placed, told))}
        verify = run["verify_entries"] or run["identities"]
        following = what_next(answers, servers, check=check, verify=verify, moving=bool(moving), following=bool(told))
        rounds = variables.get("k8s4r_collected", {}).get("rounds", MOST_ROUNDS) if arguments["again"] else 0
        if following.file == AGAIN and rounds == MOST_ROUNDS:
            odd = sorted(name for name, answer in answers.items() if answer["status"] == "stale")
            raise ActionProblem(f"{', '.join(odd)}: reported different capabilities, or ports, each time it was asked; run again")
        aside = sorted(robots.difference(variables["ansible_play_hosts_all"]))
        failed = [name for name in lost if _has_failed(variables["hostvars"].raw_get(name), arguments["prepared"])]
        changes = summary(answers, moving, lost, servers if agents_needed else (), aside, _jobs(run), failed)
        warnings: list[str] = []
        if following.file == AGAIN:
            stale = sorted(name for name, answer in answers.items() if answer["status"] == "stale")
            self._display.display(ASKED.format(few(stale, MOST)))
        elif arguments["provisioned"]:
            # Where machines have been provisioned, it was said before that.
            self._display.display(SAID)
        else:
            warnings = taken_over(answers, run.get("files", {}), placed) + untold(lost, run.get("robots", {}))
            for said in changes:
                self._display.display(line(said))
        return {
            "warnings": warnings,
            "summary": changes,
            # A user's file of the same name is beside a user's playbook, and Ansible looks for a relative path there first.
            "next": str(TASKS / f"{following.file}.yml"),
            "machines": following.machines,
            "without": following.without,
            "moves": moving,
            "followers": told,
            "lost": lost,
            "rounds": rounds + 1,
        }

    def _refuse_to_provision(self, arguments: Variables, variables: Variables, answers: Answers, servers: t.Sequence[str]) -> None:
        """Raises `ActionProblem` if provisioning did not help, has no machine for the SPIRE server, or would take a wrong one for it."""
        still = still_missing(answers) if arguments["provisioned"] else ""
        if still:
            raise ActionProblem(still)
        without_agent = [name for name, answer in answers.items() if AGENT in missing(answer)]
        identified = [name for name, answer in answers.items() if answer.get("entries") or name in without_agent]
        refuse_mistaken(self, servers[0] if servers else "", identified, variables)
        if without_agent and not servers and not variables.get("spire_agent_server"):
            raise ActionProblem(NO_SERVER)


def _has_failed(of_host: Variables, name: str) -> bool:
    """Whether a host that is no longer in the play was reached all the same."""
    result = of_host.get(name)
    return isinstance(result, t.Mapping) and bool(result.get("failed")) and not result.get("unreachable")


def _jobs(run: Variables) -> set[str]:
    """The jobs of a run, `namespace/job`: a removal has no placement that names them."""
    return {f"{job['namespace']}/{job['name']}" for robot in run.get("robots", {}).values() for job in robot["jobs"]}
