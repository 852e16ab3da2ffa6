# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what the robots of the play run, as one table."""

from __future__ import annotations

import typing as t

from ...run.action import Action, Result, Variables, registered
from ...show import table


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "status": {"type": "str", "default": "k8s4r_status"},
        "job_name": {"type": "str", "default": ""},
        "problems": {"type": "bool", "default": False},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        hosts = variables["hostvars"]
        answers = {name: registered(hosts.raw_get(name), arguments["status"], "status") for name in variables["ansible_play_hosts_all"]}
        lines = table.overview(answers, arguments["job_name"], arguments["problems"])
        self._display.display("\n".join(lines))
        return {"lines": lines}
