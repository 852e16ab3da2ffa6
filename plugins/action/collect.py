# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the robots' answers together, once: stop when any robot refuses, else say which robot needs what next."""

from __future__ import annotations

import typing as t

from ..plugin_utils.run.action import Action, ActionProblem, Result, Variables, registered
from ..plugin_utils.run.moves import moves
from ..plugin_utils.run.outcome import AGENT, NO_SERVER, SERVER, Answers, memberships, missing, refusals, taken_over
from ..plugin_utils.run.server import mistaken


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "provisioned": {"type": "bool", "default": False},
        "prepared": {"type": "str", "default": "k8s4r_prepared"},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        hosts = variables["hostvars"]
        reached = variables["ansible_play_hosts"]
        answers: Answers = {name: registered(hosts.raw_get(name), arguments["prepared"], "prepare") for name in reached}
        refused = refusals(answers)
        if refused:
            raise ActionProblem(refused)
        lacking = {name: ", ".join(whats) for name, answer in sorted(answers.items()) if (whats := missing(answer))}
        if lacking and arguments["provisioned"]:
            raise ActionProblem("\n".join(f"{name}: still lacks {whats} after provisioning" for name, whats in lacking.items()))
        agents_needed = any(AGENT in missing(answer) for answer in answers.values())
        servers = variables["groups"].get(SERVER, [])
        identified = [name for name, answer in answers.items() if answer.get("entries") or AGENT in missing(answer)]
        wrong = mistaken(servers[0] if servers else "", identified, lambda host: self.connection_to(host, variables))
        if wrong:
            raise ActionProblem(wrong)
        if agents_needed and not servers and not variables.get("spire_agent_server"):
            raise ActionProblem(NO_SERVER)
        check = bool(self._task.check_mode)
        lost = sorted(set(variables["ansible_play_hosts_all"]) - set(reached))
        warnings = [f"{name}: {whats} would first be provisioned" for name, whats in lacking.items()] if check else []
        if check and agents_needed:
            warnings.append(f"{', '.join(servers)}: the SPIRE server would be provisioned, if there is none yet")
        if lost:
            warnings.append(f"not reached; run again when they are back: {', '.join(lost)}")
        run = registered(variables, arguments["compiled"], "compile")
        placed = run.get("placement", {})
        warnings += taken_over(answers, run.get("files", {}), placed)
        moving = {name: found for name, answer in answers.items() if (found := moves(name, answer.get("goes", {}), placed))}
        return {"members": memberships(answers, servers, check), "moves": moving, "lost": lost, "warnings": warnings}
