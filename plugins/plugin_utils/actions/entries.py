# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the SPIRE server's registration entries those of the run's robots; runs once, delegated to the server."""

from __future__ import annotations

import collections
import functools
import typing as t

from ...module_utils._provision import entries, registering
from ...module_utils._provision.server import Server, ServerError
from ..compile.names import ENTRY_PREFIX
from ..run.action import ActionProblem, Result, Variables, registered
from ..run.outcome import AGENT, NO_SERVER, READY, SERVER, SETTLED, Wanted, registrations
from ..run.server import NONE_YET, PROGRAM, SOCKET, ServerAction, State, refuse_mistaken

# What it means that the server cannot be asked.
NOT_SWITCHED = "no robot was switched, because the jobs need identities, which are registered there; run again when it is back"
LEFT = (
    "identities that are no longer needed are still registered there; when it is back, run again (a deployment with -e verify_entries=true)"
)
UNKNOWN = "if it has identities of these jobs, they are still registered; to be sure, run again when it is back"


class ActionModule(ServerAction):
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (*ServerAction.PROBLEMS, ServerError)
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "state": {"type": "str", "choices": ["present", "exact"], "default": "present"},
        "delete": {"type": "bool", "default": True},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "switched": {"type": "str", "default": "k8s4r_switched"},
        "held": {"type": "str", "default": "k8s4r_held"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        exact = arguments["state"] == "exact"
        run = registered(variables, arguments["compiled"], "compile")
        answers = self._answers(run, arguments, variables)
        wanted = registrations(run["robots"], answers)
        deletes = exact and bool(wanted.parents)
        had_identities = any(AGENT in answer.get("needed", ()) for answer in answers.values())
        # Whether the server must be asked; where it only may have something of these jobs, the run ends well without it.
        asks = bool(wanted.entries) or (deletes and (run["verify_entries"] or had_identities))
        may_have = deletes and run["identities"]
        if not asks and not may_have:
            return {"changed": False}
        servers = variables["groups"].get(SERVER, [])
        if not servers:
            if wanted.entries:
                raise ActionProblem(NO_SERVER)
            return {"changed": False}
        refuse_mistaken(self, servers[0], answers, variables)
        server = Server(functools.partial(self._there, servers[0]), PROGRAM, SOCKET, servers[0])
        state, away, said = self.look(servers[0], server.listing)
        if state is State.NONE:
            return self._without_server(wanted.entries, servers[0])
        if away and asks:
            raise ActionProblem(f"{away}; {LEFT if exact else NOT_SWITCHED}")
        if away:
            return {"changed": False, "warnings": [f"{away}; {UNKNOWN}"]}
        # Compared here: a module on the server's machine would take longer than all else that this needs.
        purges = deletes and arguments["delete"]
        present, parents = server.listed(*said), {run["robots"][name]["agent"]: name for name in answers}
        used = _in_use(present, wanted, parents, self._held(answers, arguments, variables)) if purges else {}
        options = {"state": "exact" if purges else "present", "prefix": ENTRY_PREFIX, "spared": used, **wanted._asdict()}
        changer = None if self._task.check_mode else server
        result = registering.registered(options, registering.checked(options), present, changer)
        self._tell_repaired(servers[0], answers, result)
        return {**result, "warnings": list(_kept(used.values()))}

    def _there(self, host: str, command: list[str], *, data: str | None = None) -> tuple[int, str, str]:
        """Run a command on the server's machine."""
        looked = self.look(host, command, data or "")
        if looked.away:
            raise ServerError(looked.away)
        return looked.said

    def _answers(self, run: Variables, arguments: Variables, variables: Variables) -> dict[str, Variables]:
        """What robots said to `prepare`, of those whose entries are known and, where others are to be deleted, settled."""
        found = {}
        for name in variables["ansible_play_hosts"]:
            known = variables["hostvars"].raw_get(name)
            answer = registered(known, arguments["prepared"], "prepare")
            if not _looked_at(run["robots"].get(name), answer):
                continue
            # What did not have to switch in this play may still have the result of an earlier one.
            ended = known.get(arguments["switched"], answer) if answer["status"] in READY else answer
            # What stays on a robot for now needs its identity.
            settled = ended.get("status") in SETTLED and not ended.get("stays")
            planned = self._task.check_mode and ended.get("status") == "planned"
            if arguments["state"] != "exact" or (
                (settled or planned) and (not self._deletes(arguments) or _said(known, arguments) is not None)
            ):
                found[name] = answer
        return found

    def _deletes(self, arguments: Variables) -> bool:
        """Whether entries go now, which ends what another run may have begun meanwhile."""
        return bool(arguments["state"] == "exact" and arguments["delete"] and not self._task.check_mode)

    def _held(self, answers: t.Iterable[str], arguments: Variables, variables: Variables) -> dict[str, set[str]]:
        """The units that each robot has now."""
        of_hosts = variables["hostvars"]
        return {name: set(_said(of_hosts.raw_get(name), arguments) or ()) for name in answers} if self._deletes(arguments) else {}

    def _tell_repaired(self, host: str, answers: t.Mapping[str, Variables], result: Result) -> None:
        """Where nothing was to change, what had to be written was missing on the server, or somebody else's."""
        unchanged = [entry for answer in answers.values() if answer["status"] == "unchanged" for entry in answer.get("entries", ())]
        written = {*result.get("created", ()), *result.get("updated", ())}
        again = [entry["spiffe_id"] for entry in unchanged if entry["entry_id"] in written]
        if again:
            entries = "1 registration entry" if len(again) == 1 else f"{len(again)} registration entries"
            corrected = "would be corrected" if self._task.check_mode else "now corrected"
            self._display.display(f"{host}: {entries} missing or changed on the SPIRE server, {corrected}: {', '.join(sorted(set(again)))}")

    def _without_server(self, entries: t.Sequence[Variables], host: str) -> Result:
        """Without a server there are no entries. That is fine where none is wanted, and in check mode, where a run would
        first provision the server.
        """
        if entries and not self._task.check_mode:
            raise ActionProblem(NONE_YET.format(host))
        return {"changed": bool(entries), "created": [entry["entry_id"] for entry in entries]}


def _looked_at(robot: Variables | None, answer: Variables) -> bool:
    """Whether the run knows all entries that a machine needs. Of an unchanged robot it does not, unless it should have none; and
    a machine of the SPIRE server need not be a robot.
    """
    return robot is not None and ("entries" in answer or all(job["empty"] for job in robot["jobs"]))


def _said(known: Variables, arguments: Variables) -> list[str] | None:
    """The units that a robot has named; None where it has not been asked, or has not answered."""
    units: list[str] | None = known.get(arguments["held"], {}).get("units")
    return units


def _in_use(
    present: t.Iterable[entries.Entry], wanted: Wanted, parents: t.Mapping[str, str], held: t.Mapping[str, t.Container[str]]
) -> dict[str, str]:
    """The entries that this run does not want, of units that robots have: the robot of each, by the entry's id."""
    ours = {entry["entry_id"] for entry in wanted.entries}
    units = [
        (entry, parents[entry["parent_id"]], value.removeprefix("id:"))
        for entry in present
        if entry["parent_id"] in parents and entry["entry_id"] not in ours and entries.in_scope(entry, wanted.scope)
        for kind, value in entry["selectors"]
        if kind == "systemd" and value.startswith("id:")
    ]
    return {entry["entry_id"]: robot for entry, robot, unit in units if unit in held.get(robot, ())}


def _kept(robots: t.Iterable[str]) -> t.Iterator[str]:
    """Why entries stay, for a person; `robots` has the robot of each."""
    for robot, count in sorted(collections.Counter(robots).items()):
        what = "1 identity that this run does not need stays" if count == 1 else f"{count} identities that this run does not need stay"
        yield f"{robot}: {what} registered, because another run has since deployed there what uses {'it' if count == 1 else 'them'}"
