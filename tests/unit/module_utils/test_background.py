# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives the connection, as those who ask for its result see it."""

from __future__ import annotations

import threading
import time

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import background
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import formats, results
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.robot import Robot

AT_WORK = 0.3


def test_a_result_is_told_when_the_work_has_let_go_of_the_robot(tmp_path):
    robot = Robot(str(tmp_path / "state"), str(tmp_path / "run"))
    robot.make()
    formats.save(robot.request_path("r"), {"op": "switch"})
    results.Result(robot, "r", "switch").end({"status": "committed"})
    assert background.wait(robot, "r", patience=0)["status"] == "committed"
    worker = threading.Timer(AT_WORK, formats.remove, [robot.request_path("r")])
    began = time.monotonic()
    worker.start()
    assert background.wait(robot, "r")["status"] == "committed"
    assert AT_WORK <= time.monotonic() - began < background.ANSWER_WITHIN
