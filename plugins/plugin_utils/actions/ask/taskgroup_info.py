# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a robot about its task groups and what they use."""

from __future__ import annotations

import typing as t

from ...run.action import ActionProblem, Result, RobotAction, Variables

# Seconds. The robot has to answer within the time that a call may take.
LONGEST = 3.0


class ActionModule(RobotAction):
    KEEPS_ENGINE = False
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "job_name": {"type": "str", "default": ""},
        "group": {"type": "str", "default": ""},
        "namespace": {"type": "str", "default": ""},
        "sample": {"type": "float", "default": 0.5},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        sample = arguments["sample"]
        if not 0 <= sample <= LONGEST:
            raise ActionProblem(f"sample: found {sample:g}: expected seconds, 0 to {LONGEST:g}")
        only = {"job": arguments["job_name"], "group": arguments["group"], "namespace": arguments["namespace"]}
        answer = self.demand({"op": "info", "sample": sample, **only}, variables)
        return {"taskgroups": answer["taskgroups"], "unread": answer["unread"]}
