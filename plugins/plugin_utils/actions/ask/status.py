# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a robot which jobs it has and what their units do."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure

from ...run.action import ActionProblem, Result, RobotAction, Variables
from ...show import table
from ...transport.exec import RobotProblem


class ActionModule(RobotAction):
    KEEPS_ENGINE = False

    def act(self, arguments: Variables, variables: Variables) -> Result:
        del arguments
        try:
            return self.demand({"op": "status"}, variables)
        except AnsibleConnectionFailure as failure:
            # A robot that is off is part of what is to be shown.
            reason = str(failure).strip().splitlines()[-1:] or ["no connection"]
            return {"status": table.OFF, "msg": reason[0].rpartition("ssh: ")[2]}
        except (ActionProblem, RobotProblem) as problem:
            # So is one that can be reached and cannot tell.
            return {"status": table.WRONG, "msg": str(problem)}
