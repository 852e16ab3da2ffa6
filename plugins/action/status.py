# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what a robot holds and how it does."""

from __future__ import annotations

import typing as t

from ..plugin_utils.run import table
from ..plugin_utils.transport.action import RobotAction

Variables = t.Mapping[str, t.Any]


class ActionModule(RobotAction):
    KEEPS_ENGINE = False

    def act(self, arguments: Variables, variables: Variables) -> dict[str, t.Any]:
        del arguments
        answer = self.demand({"op": "status"}, variables)
        self._display.display("\n".join(table.status(str(variables["inventory_hostname"]), answer)))
        return answer
