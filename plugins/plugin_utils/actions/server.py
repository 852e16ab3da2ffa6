# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the SPIRE server can be asked, before an agent is set up; runs once, delegated to the server's machine."""

from __future__ import annotations

import typing as t

from ..run.action import ActionProblem, Result, Variables
from ..run.server import NONE_YET, ServerAction, State, refuse_mistaken


class ActionModule(ServerAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"host": {"type": "str", "required": True}}

    def act(self, arguments: Variables, variables: Variables) -> Result:
        host = arguments["host"]
        refuse_mistaken(self, host, variables["ansible_play_hosts"], variables)
        state, away, _said = self.look(host)
        problem = f"{away}; an agent gets its identity from there: run again when it is back" if away else ""
        if state is None:
            raise ActionProblem(problem)
        if state is State.NONE:
            problem = NONE_YET.format(host)
        return {"changed": False, "problem": problem, "state": state.value}
