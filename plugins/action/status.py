# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show which jobs a robot has and the state of their units."""

from __future__ import annotations

from ..plugin_utils.run import table
from ..plugin_utils.run.action import Result, RobotAction, Variables


class ActionModule(RobotAction):
    KEEPS_ENGINE = False

    def act(self, arguments: Variables, variables: Variables) -> Result:
        del arguments
        answer = self.demand({"op": "status"}, variables)
        self._display.display("\n".join(table.status(str(variables["inventory_hostname"]), answer)))
        return answer
