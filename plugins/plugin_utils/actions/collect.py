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
from ..run.moves import ASIDE, FAILED, OFF, destinations, moves
from ..run.outcome import (
    AGAIN,
    AGENT,
    NO_SERVER,
    SERVER,
    Answers,
    fetched,
    missing,
    refusals,
    still_missing,
    taken_over,
    untold,
    was_reached,
    what_next,
)
from ..run.server import refuse_mistaken
from ..show.summary import MOST, Said, line, nothing_to_remove, summary

# A robot may be asked what it can do, and then which ports it has.
MOST_ROUNDS = 3
TASKS = pathlib.Path(__file__).resolve().parents[3] / "playbooks" / "tasks"
UNKNOWN = "{}: not reached, so what jobs can use there is unknown; the jobs are compiled again without it"
NOTHING_CHANGES = "nothing changes; the robots only note what their jobs are now"
ASKED = "{}: asked what jobs can use there; the jobs are compiled again, and the changes follow"
SAID = "as said above"
ONLY_DATA = "Of {}, robots have only kept data left, which a removal without keep_data=true deletes"


class _Heard(t.NamedTuple):
    """What the robots that were reached have answered, and which were not: `lost` on the way, `failed` of those although they were reached,
    and `aside`, which this run is not about. `servers`: the machines of the SPIRE server.
    """

    answers: Answers
    lost: list[str]
    failed: list[str]
    aside: list[str]
    servers: list[str]

    def stale(self) -> list[str]:
        """Those that are not as they were assumed to be."""
        return sorted(name for name, answer in self.answers.items() if answer["status"] == "stale")

    def off(self) -> set[str]:
        return set(self.lost).difference(self.failed)

    def absent(self) -> dict[str, str]:
        """Those that the run does not come to, each with the reason."""
        return {**dict.fromkeys(self.lost, OFF), **dict.fromkeys(self.failed, FAILED), **dict.fromkeys(self.aside, ASIDE)}


def _heard(arguments: Variables, variables: Variables) -> _Heard:
    robots, begun = set(variables["groups"].get(GROUP, ())), set(variables["ansible_play_hosts_all"])
    reached = [name for name in variables["ansible_play_hosts"] if name in robots]
    lost = sorted(robots.intersection(begun).difference(reached))
    of_hosts, name = variables["hostvars"], arguments["prepared"]
    return _Heard(
        answers={robot: registered(of_hosts.raw_get(robot), name, "prepare") for robot in reached},
        lost=lost,
        failed=[robot for robot in lost if was_reached(of_hosts.raw_get(robot).get(name))],
        aside=sorted(robots.difference(begun)),
        servers=variables["groups"].get(SERVER, []),
    )


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "again": {"type": "bool", "default": False},
        "provisioned": {"type": "bool", "default": False},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        heard = _heard(arguments, variables)
        try:
            return self._collected(arguments, variables, heard)
        except ActionProblem:
            run = variables.get(arguments["compiled"])
            self._tell_of_what_was_fetched(run if isinstance(run, t.Mapping) else {}, heard)
            raise

    def _collected(self, arguments: Variables, variables: Variables, heard: _Heard) -> Result:
        refused = refusals(heard.answers)
        if refused:
            raise ActionProblem(refused)
        self._refuse_to_provision(arguments, variables, heard)
        run = registered(variables, arguments["compiled"], "compile")
        self._tell_of_nothing_to_remove(run, heard)
        told = followers(
            heard.answers,
            run.get("placement", {}),
            run.get("addresses", {}),
            run.get("unheard", {}),
            run.get("outdated", {}),
            heard.off(),
        )
        at = (heard.answers, run.get("placement", {}), told, run.get("everywhere", ()), heard.absent())
        moving = {name: found for name in heard.answers if (found := moves(name, *at))}
        following = what_next(
            heard.answers,
            heard.servers,
            check=bool(self._task.check_mode),
            verify=run["verify_entries"] or run["identities"],
            moving=bool(moving),
            following=bool(told),
            destinations=destinations(moving),
        )
        again = following.file == AGAIN
        rounds = self._rounds(again, heard, arguments, variables)
        agents = heard.servers if any(AGENT in missing(answer) for answer in heard.answers.values()) else ()
        changes = summary(heard.answers, moving, heard.lost, agents, heard.aside, _jobs(run), heard.failed)
        # Where machines have been provisioned, it was said before that.
        before = variables.get("k8s4r_collected", {}).get("summary", []) if arguments["provisioned"] else []
        return {
            "warnings": self._tell(again, before, run, heard, changes),
            "summary": before if again else changes,
            # A user's file of the same name is beside a user's playbook, and Ansible looks for a relative path there first.
            "next": str(TASKS / f"{following.file}.yml"),
            "machines": following.machines,
            "without": following.without,
            "identities": following.identities,
            "moves": moving,
            "followers": told,
            "lost": heard.lost,
            "rounds": rounds,
        }

    def _tell_of_nothing_to_remove(self, run: Variables, heard: _Heard) -> None:
        if run["state"] == "absent" and {answer["status"] for answer in heard.answers.values()} == {"unchanged"}:
            robots = "that answered" if heard.lost else "of this run"
            there = {job for answer in heard.answers.values() for job in answer.get("has", ())}
            jobs = _jobs(run)
            if jobs - there:
                self._display.display(nothing_to_remove(robots, sorted(jobs - there), sorted(there - jobs)))
            if jobs & there:
                # Where more of it were left, this robot would not be unchanged.
                self._display.display(ONLY_DATA.format(few(sorted(jobs & there), MOST)))

    def _rounds(self, again: bool, heard: _Heard, arguments: Variables, variables: Variables) -> int:
        """How often the jobs have been compiled with this time. Raises `ActionProblem` if once more would not help, either."""
        before = int(variables.get("k8s4r_collected", {}).get("rounds", MOST_ROUNDS)) if arguments["again"] else 0
        if again and before == MOST_ROUNDS:
            odd = ", ".join(heard.stale())
            raise ActionProblem(f"{odd}: reported different capabilities, or ports, each time it was asked; run again")
        return before + 1

    def _tell_of_what_was_fetched(self, run: Variables, heard: _Heard) -> None:
        """It is in no later answer, and people write such a digest into their job."""
        for said in summary(fetched(heard.answers), {}, [], jobs=_jobs(run)):
            self._display.display(line(said))

    def _tell(self, again: bool, before: t.Sequence[Said], run: Variables, heard: _Heard, changes: t.Sequence[Said]) -> list[str]:
        """Say what will change, as soon as that is known and once; the warnings that belong to it. `before`: what was said earlier."""
        if again:
            asked = ASKED.format(few(heard.stale(), MOST)) if heard.stale() else UNKNOWN.format(few(heard.lost, MOST))
            self._display.display(asked)
            self._tell_of_what_was_fetched(run, heard)
            return []
        if before:
            # Not all could be known then: a robot fetches nothing before it has all programs.
            for text in (SAID, *map(line, _unsaid(changes, before))):
                self._display.display(text)
            return []
        for said in changes:
            self._display.display(line(said))
        if not changes and any(answer["status"] != "unchanged" for answer in heard.answers.values()):
            self._display.display(NOTHING_CHANGES)
        return taken_over(heard.answers, run.get("files", {}), run.get("placement", {})) + untold(heard.lost, run.get("robots", {}))

    def _refuse_to_provision(self, arguments: Variables, variables: Variables, heard: _Heard) -> None:
        """Raises `ActionProblem` if provisioning did not help, has no machine for the SPIRE server, or would take a wrong one for it."""
        answers, servers = heard.answers, heard.servers
        still = still_missing(answers) if arguments["provisioned"] else ""
        if still:
            raise ActionProblem(still)
        without_agent = [name for name, answer in answers.items() if AGENT in missing(answer)]
        identified = [name for name, answer in answers.items() if answer.get("entries") or name in without_agent]
        refuse_mistaken(self, servers[0] if servers else "", identified, variables)
        if without_agent and not servers and not variables.get("spire_agent_server"):
            raise ActionProblem(NO_SERVER)


def _unsaid(changes: t.Sequence[Said], before: t.Sequence[Said]) -> t.Iterator[Said]:
    """What was not said of the same robots before."""
    known = {(robot, said["text"]) for said in before for robot in said["robots"]}
    for said in changes:
        robots = [robot for robot in said["robots"] if (robot, said["text"]) not in known]
        if robots:
            yield {**said, "robots": robots}


def _jobs(run: Variables) -> set[str]:
    """The jobs of a run, `namespace/job`: a removal has no placement that names them."""
    return {f"{job['namespace']}/{job['name']}" for robot in run.get("robots", {}).values() for job in robot["jobs"]}
