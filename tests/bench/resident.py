# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ours stays in a robot's memory: processes under k8s4r.slice that are no program of a job and no Envoy."""

from __future__ import annotations

import typing as t

from .stage import Bench

# One line per process: unit, proportional and resident set (KiB), name. The engine's processes would show anywhere.
LOOK = r"""
for p in /proc/[0-9]*; do
    unit=$(sed -n 's#.*/\(k8s4r-[^/]*\.service\).*#\1#p' "$p/cgroup" 2>/dev/null | head -n 1)
    words=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)
    case "$unit$words" in *k8s4r*) ;; *) continue ;; esac
    pss=$(sed -n 's/^Pss: *\([0-9]*\).*/\1/p' "$p/smaps_rollup" 2>/dev/null)
    rss=$(sed -n 's/^Rss: *\([0-9]*\).*/\1/p' "$p/smaps_rollup" 2>/dev/null)
    [ "$rss" ] && echo "${unit:-none} $pss $rss $(cat "$p/comm")"
done
true
"""

# The unit of the one program that stays.
ROTATOR = "k8s4r-logs.service"
THEIRS = ("sleep", "envoy", "spire-agent", "spire-server")


class Process(t.NamedTuple):
    unit: str
    proportional: int
    resident: int
    name: str


class Resident(t.NamedTuple):
    """`ours` are processes that nobody's job asked for; `tasks` counts task instances on the robot."""

    tasks: int
    ours: tuple[Process, ...]
    envoy: int


def resident(bench: Bench, robot: str) -> Resident:
    rows = [line.split(maxsplit=3) for line in bench.on(robot, LOOK).splitlines()]
    processes = [Process(unit, int(pss), int(rss), name) for unit, pss, rss, name in rows]
    return Resident(
        tasks=len({process.unit for process in processes if process.unit.startswith("k8s4r-task-")}),
        ours=tuple(process for process in processes if not process.name.startswith(THEIRS) and process.unit != "none"),
        envoy=sum(process.resident for process in processes if process.name == "envoy"),
    )
