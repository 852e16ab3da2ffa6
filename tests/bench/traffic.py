# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes that cross a robot's network interface in one run, and how often the controller calls on it."""

from __future__ import annotations

import re
import statistics
import typing as t

from .contenders import Contender
from .stage import Bench

COUNTERS = "cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/tx_bytes"


class Traffic(t.NamedTuple):
    """Per robot and run, medians: bytes to it and bytes from it, Ethernet headers included."""

    to_robot: float
    from_robot: float


class Calls(t.NamedTuple):
    """Of one run: task lines of each robot, task lines of the run, commands sent to each robot over SSH, and lines that are not empty."""

    per_robot: int
    once: int
    round_trips: int
    lines: int


def traffic(bench: Bench, contender: Contender, fresh: bool, runs: int) -> Traffic:
    """Read the counters around each run; a fresh connection is opened by the run itself and stays open after it."""
    to_robot, from_robot = [], []
    if not fresh:
        bench.run(contender.command, contender.extra)
    for _run in range(runs):
        if fresh:
            bench.disconnect()
        before = _counters(bench)
        bench.run(contender.command, contender.extra)
        for first, last in zip(before, _counters(bench), strict=True):
            to_robot.append(last[0] - first[0])
            from_robot.append(last[1] - first[1])
    return Traffic(statistics.median(to_robot), statistics.median(from_robot))


def _counters(bench: Bench) -> list[tuple[int, int]]:
    said = [bench.on(robot, COUNTERS).split() for robot in bench.robots]
    return [(int(received), int(sent)) for received, sent in said]


def calls(bench: Bench, contender: Contender) -> Calls:
    """Counted in what Ansible prints; the robot that carries no run_once task shows what each robot costs."""
    plain = bench.run(contender.command, contender.extra).output
    verbose = bench.run([*contender.command, "-vvv"], contender.extra).output
    lines = {robot: len(re.findall(rf"^(?:ok|changed|skipping|included): \[{robot}\]", plain, re.MULTILINE)) for robot in bench.robots}
    addresses = [bench.fleet.address(robot) for robot in bench.robots]
    trips = [len(re.findall(rf"^<{re.escape(address)}> SSH: EXEC", verbose, re.MULTILINE)) for address in addresses]
    printed = sum(bool(line.strip()) for line in plain.splitlines())
    return Calls(min(lines.values()), max(lines.values()) - min(lines.values()), max(trips), printed)
