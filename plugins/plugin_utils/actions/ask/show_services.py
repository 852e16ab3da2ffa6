# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show where the services of the robots of the play are, and who calls them, as one table and as data."""

from __future__ import annotations

import typing as t

from ...job.addresses import plain
from ...job.errors import JobErrors
from ...run import placing
from ...run.action import Action, Result, Variables, registered
from ...show import services


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "status": {"type": "str", "default": "k8s4r_status"},
        "job_name": {"type": "str", "default": ""},
    }
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (*Action.PROBLEMS, JobErrors)

    def act(self, arguments: Variables, variables: Variables) -> Result:
        hosts = variables["hostvars"]
        answers = {name: registered(hosts.raw_get(name), arguments["status"], "status") for name in variables["ansible_play_hosts_all"]}
        robots = placing.fleet(variables, {}, self._templar).robots
        addresses = {robot.name: plain((robot.reached_at or (robot.address,))[0]) for robot in robots}
        found = services.services(answers, addresses, arguments["job_name"])
        lines = services.overview(answers, found, arguments["job_name"])
        self._display.display("\n".join(lines))
        return {"services": found, "lines": lines}
