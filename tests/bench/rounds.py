# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds: every contender in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
import typing as t

from .contenders import FIRST, PING, Contender
from .stage import Bench

OFTEN = 3


class Sample(t.NamedTuple):
    """One timed run; `start_up` is, for a first deploy, what the started programs took of it, and `ready` what a proxy took of that
    from when it had its identity.
    """

    seconds: float
    cpu: float
    start_up: float = 0.0
    ready: float = 0.0


Samples = dict[str, list[Sample]]


def rounds(bench: Bench, contenders: t.Sequence[Contender], number: int, say: t.Callable[[str], None]) -> Samples:
    """`number` rounds of everything; contenders that take part often do so `OFTEN` times a round, alternating."""
    samples: Samples = {contender.name: [] for contender in contenders}
    often = [contender for contender in contenders if contender.often]
    seldom = [contender for contender in contenders if not contender.often]
    for count in range(1, number + 1):
        say(f"round {count} of {number}")
        for turn in range(OFTEN):
            # Whoever follows the same neighbour every time would always find its caches and its noise.
            for contender in often[turn % len(often) :] + often[: turn % len(often)]:
                samples[contender.name].append(_sample(bench, contender))
        for contender in seldom:
            samples[contender.name].append(_sample(bench, contender))
    return samples


def _sample(bench: Bench, contender: Contender) -> Sample:
    if contender.before:
        contender.before()
    timed = bench.run(contender.command, contender.extra)
    contender.verify(timed)
    if contender.name != FIRST:
        return Sample(timed.seconds, timed.cpu)
    start_up, ready = (max(found(bench, robot) for robot in bench.robots) for found in (_start_up, _ready))
    return Sample(timed.seconds, timed.cpu, start_up, ready)


def _start_up(bench: Bench, robot: str) -> float:
    """Seconds from the first unit of the job that left `inactive` to the last that was active, by systemd's own clock."""
    wanted = "InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic"
    shown = bench.on(robot, f"systemctl show -p {wanted} 'k8s4r-task-bench-web*' 'k8s4r-init-bench-web*' 'k8s4r-proxy-bench-web*'")
    values = [line.partition("=")[::2] for line in shown.splitlines() if "=" in line]
    left = [int(value) for name, value in values if name.startswith("Inactive") and int(value)]
    active = [int(value) for name, value in values if name.startswith("Active") and int(value)]
    return (max(active) - min(left)) / 1e6 if left and active else 0.0


def _ready(bench: Bench, robot: str) -> float:
    """Seconds from the start of Envoy, which waits for the identity to be there, until the proxy's unit was active."""
    shown = bench.on(robot, "systemctl show -p ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic 'k8s4r-proxy-bench-web*'")
    values = {name: int(value) for name, _equals, value in (line.partition("=") for line in shown.splitlines()) if value}
    return (values["ActiveEnterTimestampMonotonic"] - values["ExecMainStartTimestampMonotonic"]) / 1e6


def median(samples: Samples, name: str, of: t.Callable[[Sample], float] = lambda sample: sample.seconds) -> float:
    return statistics.median(of(sample) for sample in samples[name])


def spread(samples: Samples, name: str) -> tuple[float, float]:
    """The quartiles of a contender's times."""
    seconds = [sample.seconds for sample in samples[name]]
    if len(seconds) < 2:
        return seconds[0], seconds[0]
    low, _middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, high


def ratio(samples: Samples, name: str, over: str = PING) -> float:
    return median(samples, name) / median(samples, over)
