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
    assert command.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60) == (3, "out\nerr\n")
    assert command.run(["sh", "-c", "kill -9 $$"], timeout=60)[0] == 137
    assert command.run(["/no/such/program"], timeout=60) == (127, "/no/such/program: not found")
    assert command.run(["/no/such/program"]) == (127, "/no/such/program: not found")
    assert command.run(["/etc/passwd"]) == (127, "/etc/passwd: Permission denied")
    with pytest.raises(CommandFailed, match="ended with status 3"):
        command.need(["sh", "-c", "exit 3"])


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path):
    """The second one is deaf to being asked."""
    for deaf in ("", "trap '' TERM;"):
        script = f"{deaf} echo begun; (sleep 1000 & echo $! >{tmp_path}/child; wait)"
        assert command.run(["sh", "-c", script], timeout=3) == (command.LATE, "begun\n\nit did not end within 3 s")
        child = (tmp_path / "child").read_text().strip()
        assert (
            command.run(
                ["sh", "-c", f"until ! kill -0 {child} 2>/dev/null || grep -q 'State:.Z' /proc/{child}/status; do sleep 0.1; done"]
            )[0]
            == 0
        )


def test_who_prints_without_end_is_ended():
    code, output = command.run(["sh", "-c", "while :; do echo y; done"], timeout=3)
    assert (code, output[:4]) == (command.LATE, "y\ny\n")


def test_a_program_that_closes_its_output_is_waited_for():
    assert command.run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"], timeout=60) == (4, "")


def test_what_it_leaves_behind_holds_nobody_up():
    code, output = command.run(["sh", "-c", "echo out; setsid sleep 20 & exit 5"], timeout=3)
    assert (code, output) == (5, "out\n")
