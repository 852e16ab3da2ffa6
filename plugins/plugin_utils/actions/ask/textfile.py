# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a robot write its statistics for Prometheus' node_exporter, or no longer."""

from __future__ import annotations

import typing as t

from ...run.action import Result, RobotAction, Variables


class ActionModule(RobotAction):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"directory": {"type": "str", "default": ""}}

    def act(self, arguments: Variables, variables: Variables) -> Result:
        # A robot that is to write nothing needs no engine for that.
        self.KEEPS_ENGINE = bool(arguments["directory"])
        request = {"op": "textfile", "directory": arguments["directory"], "check": bool(self._task.check_mode)}
        return {"changed": self.demand(request, variables)["changed"]}
