# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs of the robot."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import command


def test_programs():
    assert command.run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")
    assert command.run(["sh", "-c", "echo out; echo err >&2"], errors=False) == (0, "out\n")
    assert command.run(["sh", "-c", "kill -9 $$"])[0] == 137
    assert command.run(["sleep", "5"], timeout=0.1)[0] == 124
    assert command.run(["/no/such/program"]) == (127, "/no/such/program: not found")
    assert command.run(["/etc/passwd"]) == (127, "/etc/passwd: Permission denied")
    with pytest.raises(CommandFailed, match="ended with status 3"):
        command.need(["sh", "-c", "exit 3"])
