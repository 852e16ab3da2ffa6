# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Borrowed fleets: one each, and gone when their borrower is, however it went."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.robots import Fleet, RobotSpec, borrowed, borrowing
from tests.robots.host import CHECKOUT, processes, run

pytestmark = pytest.mark.robots

KILLED = """
import os, signal
from tests.robots import RobotSpec, borrowed, borrowing

borrowing.PREFIX = {prefix!r}
with borrowed("gone", [RobotSpec("robot1")]) as fleet:
    print(fleet.prefix, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left_of(fleet: Fleet) -> list[object]:
    """Whatever is still there of a fleet."""
    docker = run("docker", "ps", "--all") + run("docker", "network", "ls")
    paths = [path for path in (fleet.directory, fleet.control) if path.exists()]
    return [*(line for line in docker.splitlines() if fleet.full_name in line), *processes("--fleet", fleet.full_name), *paths]


def test_two_borrowers_never_have_the_same():
    with borrowed("gone", [RobotSpec("robot1")]) as first, borrowed("gone", [RobotSpec("robot1")]) as second:
        assert first.ssh("robot1", "cat /etc/machine-id") != second.ssh("robot1", "cat /etc/machine-id")


def test_what_a_killed_borrower_left_is_taken_away(monkeypatch):
    # Whoever else borrows meanwhile would take it away, too.
    monkeypatch.setattr(borrowing, "PREFIX", "killed-")
    died = subprocess.run(
        [sys.executable, "-c", KILLED.format(prefix=borrowing.PREFIX)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL
    fleet = Fleet(died.stdout.strip())
    assert left_of(fleet)
    borrowing.remove_abandoned()
    assert left_of(fleet) == []
