# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as tables of Markdown, each with its goal beside it, reached or not."""

from __future__ import annotations

import os
import statistics
import typing as t

from . import contenders as c
from . import prose, report_moves, report_pods, report_tasks
from .data_path import DataPath, ratios
from .engine import Engine
from .fifty import Fifty
from .growth import Growth
from .log_path import LogPath
from .moves import Moves
from .names import NAMES, NOTHING, OURS, PING, Named
from .pods import Pods
from .resident import ROTATOR, Resident
from .rounds import Samples, median, ratio, spread
from .scale import Scale
from .start import Start
from .tables import met, table
from .traffic import Calls, Traffic

HEALTHY_SECONDS = 2.0


class Figures(t.NamedTuple):
    """All that a run of the benchmark measured; `wires` are (warm, fresh) by contender."""

    rounds: int
    samples: Samples
    wires: dict[str, tuple[Traffic, Traffic]]
    calls: dict[str, Calls]
    fleets: list[Scale]
    growth: list[Growth]
    names: dict[str, Named]
    resident: Resident
    engine: Engine
    data_path: DataPath
    fifty: Fifty
    start: Start
    log_path: LogPath
    pods: Pods
    moves: Moves
    loads: tuple[float, float]


def times(samples: Samples) -> str:
    """Wall-clock time of whole runs; the goals of ours are over the ping, those of the others over ours."""
    most = {c.SIX: 0.8, c.WEB: 0.8}
    least = {c.ROLE: 8.0, c.MITOGEN: 3.0, c.PYINFRA: 3.0}
    rows = []
    for name in samples:
        low, high = spread(samples, name)
        goal = ""
        if name in most:
            goal = met(ratio(samples, name) <= most[name], f"at most {most[name]} x ping")
        elif name in least and c.SIX in samples:
            times_ours = ratio(samples, name, c.SIX)
            goal = met(times_ours >= least[name], f"at least {least[name]:g} x ours (is {times_ours:.1f})")
        elif name == c.NOTHING:
            goal = "Ansible's own start-up; no playbook is faster"
        elif name == c.FRESH_SIX and c.FRESH_PING in samples:
            goal = f"is {ratio(samples, name, c.FRESH_PING):.2f} x ping on fresh connections"
        cpu = median(samples, name, lambda sample: sample.cpu)
        rows.append([name, f"{median(samples, name):.2f}", f"{low:.2f}-{high:.2f}", f"{cpu:.2f}", f"{ratio(samples, name):.2f}", goal])
    text = table(["run", "median, s", "quartiles, s", "controller's CPU, s", "over ping", "goal"], rows)
    return text + (first(samples) if c.FIRST in samples else "")


def first(samples: Samples) -> str:
    """What of a first deploy is ours, beside what the programs took to start and the time for which they are watched."""
    whole, started = median(samples, c.FIRST), median(samples, c.FIRST, lambda sample: sample.start_up)
    ready = median(samples, c.FIRST, lambda sample: sample.ready)
    ping = median(samples, c.PING)
    rest = median(samples, c.FIRST, lambda sample: sample.seconds - sample.start_up)
    watched = rest - HEALTHY_SECONDS
    rows = [
        ["whole", f"{whole:.2f}", f"{whole / ping:.2f}", ""],
        [
            "start-up of the programs, from the start of the first unit until the last one is active",
            f"{started:.2f}",
            f"{started / ping:.2f}",
            met(started <= 1.5, "at most 1.5 s"),
        ],
        [
            "of which: a proxy, from having its identity until it is ready",
            f"{ready:.2f}",
            f"{ready / ping:.2f}",
            met(ready <= 0.3, "at most 0.3 s"),
        ],
        ["the rest", f"{rest:.2f}", f"{rest / ping:.2f}", met(rest <= 4 * ping, "at most 4 x ping")],
        [
            f"the rest without the {HEALTHY_SECONDS:g} s in which a started unit must not restart",
            f"{watched:.2f}",
            f"{watched / ping:.2f}",
            met(watched <= 2 * ping, "at most 2.0 x ping"),
        ],
    ]
    return "\n" + table(["first deploy of the web service", "median, s", "over ping", "goal"], rows)


def wires(figures: Figures) -> str:
    rows = []
    for name, (warm, fresh) in figures.wires.items():
        goal = ""
        if name != c.PING:
            goal = met(warm.to_robot < 2000 and fresh.to_robot < 6000, "under 2,000 warm, under 6,000 fresh")
        rows.append([name, *(f"{number:,.0f}" for number in (warm.to_robot, warm.from_robot, fresh.to_robot, fresh.from_robot)), goal])
    return table(["bytes per robot and run", "to it, warm", "from it, warm", "to it, fresh", "from it, fresh", "goal"], rows)


def calls(figures: Figures) -> str:
    rows = []
    for name, called in figures.calls.items():
        few = called.per_robot <= 2 and called.round_trips <= 1 and called.lines <= 12
        goal = met(few, "at most 2 lines, 1 round trip, 12 lines in all") if name != c.PING else ""
        rows.append([name, *map(str, (called.per_robot, called.once, called.round_trips, called.lines)), goal])
    return table(["run", "task lines of each robot", "lines once per run", "round trips to each robot", "all lines", "goal"], rows)


def fleets(figures: Figures) -> str:
    largest = max(figures.fleets, key=lambda fleet: fleet.robots)
    rows = [
        [
            f"{fleet.robots:,}",
            f"{fleet.place:.2f}",
            f"{fleet.compile:.2f}",
            f"{fleet.seal:.2f}",
            f"{fleet.seconds:.2f}",
            f"{fleet.seconds / fleet.robots * 1000:.2f}",
            f"{fleet.cpu:.2f}",
            f"{fleet.resident / 1024:.0f} ({(fleet.resident - fleet.resident_before) / fleet.robots:.0f} KiB per robot)",
            f"{fleet.request:.0f}",
            f"{fleet.sealed / 1024:.0f}",
            f"{fleet.opened * 1000:.1f}",
            met(fleet.seconds <= 2.5, "at most 2.5 s") if fleet is largest else "",
        ]
        for fleet in figures.fleets
    ]
    head = [
        "robots x 5 groups",
        "place, s",
        "compile, s",
        "digest and encrypt, s",
        "all, s",
        "all, ms per robot",
        "all, CPU s",
        "memory, MiB",
        "asked of each robot, bytes",
        "plan of each robot, KiB",
        "read for a changed robot, ms",
        "goal",
    ]
    return table(head, rows)


def growth(figures: Figures) -> str:
    first = figures.growth[0]
    rows = [
        [
            f"{one.robots:,}",
            f"{one.ping_cpu:.2f}",
            f"{one.cpu:.2f}",
            f"{(one.cpu - first.cpu) / (one.robots - first.robots) * 1000:.1f}" if one is not first else "",
            f"{one.ping_resident / 1024:.0f}",
            f"{one.resident / 1024:.0f}",
            "",
        ]
        for one in figures.growth
    ]
    head = ["robots in the inventory", "ping, CPU s", "ours, CPU s", "ours more, ms per robot", "ping, MiB", "ours, MiB", ""]
    return table(head, rows)


def names(figures: Figures) -> str:
    empty, ping = figures.names[NOTHING], figures.names[PING]
    rows = [
        [
            name,
            f"{one.seconds:.1f}",
            f"{one.cpu:.1f}",
            f"{(one.cpu - empty.cpu) / NAMES * 1000:.0f}" if name != NOTHING else "",
            f"{one.seconds / ping.seconds:.2f}",
            met(one.seconds <= 0.25 * ping.seconds, "at most 0.25 x ping") if name == OURS else "",
        ]
        for name, one in figures.names.items()
    ]
    head = [f"{NAMES} names", "median, s", "controller's CPU, s", "of it for each robot, ms", "over ping", "goal"]
    return table(head, rows)


def memory(figures: Figures) -> str:
    found = figures.resident
    helpers = [process for process in found.ours if process.unit.startswith(("k8s4r-task-", "k8s4r-init-"))]
    rotator = [process for process in found.ours if process.unit == ROTATOR]
    others = [process for process in found.ours if process not in (*helpers, *rotator)]
    per_task: dict[str, int] = {}
    for process in helpers:
        per_task[process.unit] = per_task.get(process.unit, 0) + process.proportional
    largest = max(per_task.values(), default=0)
    rows = [
        [
            f"helpers of exec tasks: {', '.join(sorted({p.name for p in helpers}))}",
            str(len(helpers)),
            f"{max((p.resident for p in helpers), default=0):,}",
            f"{sum(p.proportional for p in helpers):,}",
            met(largest < 820, f"under 0.8 MB each task (is {largest:,} KiB, proportional)"),
        ],
        [
            "what writes the log files of all tasks",
            str(len(rotator)),
            f"{max((p.resident for p in rotator), default=0):,}",
            f"{sum(p.proportional for p in rotator):,}",
            met(sum(p.resident for p in rotator) < 8192, "under 8 MB for a robot"),
        ],
        [
            "anything else of ours: " + (", ".join(sorted({p.name for p in others})) or "nothing"),
            str(len(others)),
            f"{max((p.resident for p in others), default=0):,}",
            f"{sum(p.proportional for p in others):,}",
            met(not others, "none"),
        ],
        ["Envoy, which is not ours", "", f"{found.envoy:,}", "", ""],
    ]
    return table([f"on a robot with {found.tasks} tasks", "processes", "largest resident set, KiB", "all, proportional, KiB", "goal"], rows)


def engine(figures: Figures) -> str:
    found = figures.engine
    first, second = found.holds_nothing - found.python, found.unchanged - found.systemctl
    rows = [
        ["a job of which the robot holds nothing", "`python3 -I`", f"{found.python:.1f}", f"{found.holds_nothing:.1f}", f"{first:.1f}"],
        [f"{found.tasks} running tasks", "`systemctl show` of them", f"{found.systemctl:.1f}", f"{found.unchanged:.1f}", f"{second:.1f}"],
    ]
    goals = [met(more <= 15, "at most 15 ms more") for more in (first, second)]
    head = ["unchanged", "beside", "that, ms", "the engine, ms", "more, ms", "goal"]
    return table(head, [[*row, goal] for row, goal in zip(rows, goals, strict=True)])


def data_path(found: DataPath) -> str:
    """Requests through a pair of our proxies over those through a hand-tuned pair, and what idle proxies take."""
    rows = []
    for connections, pairs in found.pairs.items():
        low, middle, high = ratios(pairs)
        ours, tuned = ([pair[side] for pair in pairs] for side in (0, 1))
        speeds = [f"{statistics.median(sample.requests for sample in samples):,.0f}" for samples in (ours, tuned)]
        latencies = [f"{statistics.median(sample.p99 for sample in samples):.2f}" for samples in (ours, tuned)]
        goal = met(middle >= 0.98, "at least 0.98")
        rows.append([str(connections), *speeds, f"{middle:.3f}", f"{low:.3f}-{high:.3f}", *latencies, goal])
    head = ["connections", "ours, requests/s", "hand-tuned", "ours over it", "quartiles", "ours, p99 ms", "hand-tuned", "goal"]
    memory = [[name, f"{resident:,}", f"{anonymous:,}", ""] for name, (resident, anonymous) in found.memory.items()]
    return table(head, rows) + "\n" + table(["idle proxy", "resident, KiB", "of it, anonymous, KiB", ""], memory)


def document(figures: Figures) -> str:
    cores = os.cpu_count() or 1
    first, last = (f"{load:.1f}" for load in figures.loads)
    load = f"{first} before the rounds and {last} after them, {prose.QUIET if max(figures.loads) <= 2 * cores else prose.BUSY}"
    parts = (
        prose.HEAD.format(cores=cores, load=load, rounds=figures.rounds, often=len(figures.samples[c.PING])),
        times(figures.samples),
        prose.BYTES,
        wires(figures),
        prose.CALLS,
        calls(figures),
        prose.ENGINE,
        engine(figures),
        prose.FLEETS,
        fleets(figures),
        prose.GROWTH,
        growth(figures),
        prose.MANY,
        names(figures),
        prose.MEMORY,
        memory(figures),
        prose.TASKS,
        report_tasks.fifty(figures.fifty),
        prose.START,
        report_tasks.start(figures.start),
        prose.LOG_PATH,
        report_tasks.log_path(figures.log_path),
        prose.DATA_PATH,
        data_path(figures.data_path),
        prose.PODS,
        report_pods.pods(figures.pods),
        prose.MOVES,
        report_moves.moves(figures.moves),
    )
    return "\n".join(parts)
