# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the SPIRE server's registration entries those of the run's robots; runs once, delegated to the server."""

from __future__ import annotations

import typing as t

from ..plugin_utils.run.action import Action, ActionProblem, Result, Variables, registered
from ..plugin_utils.run.outcome import NO_SERVER, SERVER, registrations

SOCKET = "/run/spire/server/api.sock"

# Robots that run what the jobs describe: what they had before is no longer needed.
SETTLED = ("committed", "unchanged")


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "state": {"type": "str", "choices": ["present", "exact"], "default": "present"},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "switched": {"type": "str", "default": "k8s4r_switched"},
    }
    _requires_connection = True

    def act(self, arguments: Variables, variables: Variables) -> Result:
        exact = arguments["state"] == "exact"
        robots = registered(variables, arguments["compiled"], "compile")["robots"]
        hosts = variables["hostvars"]
        answers = {}
        for name in variables["ansible_play_hosts"]:
            known = hosts.raw_get(name)
            answer = registered(known, arguments["prepared"], "prepare")
            ended = known.get(arguments["switched"], answer).get("status")
            if not exact or ended in SETTLED or (self._task.check_mode and ended == "planned"):
                answers[name] = answer
        wanted = registrations(robots, answers)
        if not wanted.entries and not (exact and wanted.parents):
            return {"changed": False}
        if not variables["groups"].get(SERVER):
            if wanted.entries:
                raise ActionProblem(NO_SERVER)
            return {"changed": False}
        if not self._server_runs():
            return self._without_server(wanted.entries, variables["groups"][SERVER][0])
        options = {
            "state": arguments["state"],
            "entries": wanted.entries,
            "scope": wanted.scope,
            "parents": wanted.parents,
            "socket": SOCKET,
        }
        return self.module("k8s4r.robot.spire_entries", options, variables)

    def _server_runs(self) -> bool:
        return self.shell(f"test -S {SOCKET}").status == 0

    def _without_server(self, entries: t.Sequence[Variables], host: str) -> Result:
        """Without a server there are no entries. That is fine where none is wanted, and in check mode, where a run would
        first provision the server.
        """
        if entries and not self._task.check_mode:
            raise ActionProblem(
                f"the SPIRE server is not running on {host} ({SOCKET} is missing); start it with: ansible-playbook k8s4r.robot.provision"
            )
        return {"changed": bool(entries), "created": [entry["entry_id"] for entry in entries]}
