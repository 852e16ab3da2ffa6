# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until the batch jobs of a run have run to their end on a robot. The robot works on its own; this action only asks."""

from __future__ import annotations

import time
import typing as t

from ..run.action import SILENT, ActionProblem, Result, RobotAction, Variables, registered

# Seconds between two questions; a robot thinks about each for some.
INTERVAL = 1.0


class ActionModule(RobotAction):
    KEEPS_ENGINE = False
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {
        "seconds": {"type": "int", "default": 3600},
        "compiled": {"type": "str", "default": "k8s4r_compiled"},
    }

    def act(self, arguments: Variables, variables: Variables) -> Result:
        run, robot = registered(variables, arguments["compiled"], "compile"), str(variables["inventory_hostname"])
        mine = run.get("robots", {}).get(robot)
        jobs = [{"namespace": job["namespace"], "name": job["name"]} for job in mine["jobs"] if not job["empty"]] if mine else []
        if self._task.check_mode or not jobs:
            return {"changed": False, "finished": 0}
        request = {"op": "ended", "jobs": jobs}
        began = told = time.monotonic()
        answer = self.call(request, variables)
        while answer["status"] == "running":
            now, progress = time.monotonic(), answer["progress"]
            if now > began + arguments["seconds"]:
                found = f"{robot}: {progress}: not finished after {arguments['seconds']} s, and still running"
                raise ActionProblem(f"{found}; to keep waiting: -e wait=true -e wait_seconds=<seconds>")
            if now > told + SILENT:
                self._display.display(f"{robot}: {progress} ({now - began:.0f} s)")
                told = now
            time.sleep(INTERVAL)
            answer = self.ask_again(request, variables)
        if answer["status"] != "ok":
            errors = "\n".join(map(str, answer["errors"]))
            return {"failed": True, "changed": False, "msg": f"{robot}: did not run to its end:\n{errors}"}
        return {"changed": False, "finished": answer["finished"]}
