# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a robot what it can do, and remember the answer on the controller."""

from __future__ import annotations

from ...home import key
from ...home.capabilities import Capabilities
from ...home.mesh import Mesh
from ...run.action import Result, RobotAction, Variables


class ActionModule(RobotAction):
    KEEPS_ENGINE = False

    def act(self, arguments: Variables, variables: Variables) -> Result:
        del arguments
        answer, robot = self.demand({"op": "probe"}, variables), str(variables["inventory_hostname"])
        capabilities = answer["capabilities"]
        Capabilities(key.home()).write(robot, capabilities)
        Mesh(key.home()).learn(robot, answer["mesh"])
        return {"capabilities": capabilities}
