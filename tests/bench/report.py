# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as tables of Markdown, each with its goal beside it, reached or not."""

from __future__ import annotations

import os
import statistics
import typing as t

from . import contenders as c
from .data_path import DataPath, ratios
from .engine import Engine
from .growth import Growth
from .names import NAMES, NOTHING, OURS, PING, Named
from .resident import Resident
from .rounds import Samples, median, ratio, spread
from .scale import Scale
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
    loads: tuple[float, float]


def _table(head: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 2), "---"], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _met(reached: bool, goal: str) -> str:
    return f"{goal}: {'reached' if reached else '**missed**'}"


def times(samples: Samples) -> str:
    """Wall-clock time of whole runs; the goals of ours are over the ping, those of the others over ours."""
    most = {c.SIX: 0.8, c.WEB: 0.8}
    least = {c.ROLE: 8.0, c.MITOGEN: 3.0, c.PYINFRA: 3.0}
    rows = []
    for name in samples:
        low, high = spread(samples, name)
        goal = ""
        if name in most:
            goal = _met(ratio(samples, name) <= most[name], f"at most {most[name]} x ping")
        elif name in least and c.SIX in samples:
            times_ours = ratio(samples, name, c.SIX)
            goal = _met(times_ours >= least[name], f"at least {least[name]:g} x ours (is {times_ours:.1f})")
        elif name == c.NOTHING:
            goal = "Ansible's own start, which no playbook is below"
        elif name == c.FRESH_SIX and c.FRESH_PING in samples:
            goal = f"is {ratio(samples, name, c.FRESH_PING):.2f} x ping on fresh connections"
        cpu = median(samples, name, lambda sample: sample.cpu)
        rows.append([name, f"{median(samples, name):.2f}", f"{low:.2f}-{high:.2f}", f"{cpu:.2f}", f"{ratio(samples, name):.2f}", goal])
    text = _table(["run", "median, s", "quartiles, s", "controller's CPU, s", "over ping", "goal"], rows)
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
            _met(started <= 1.5, "at most 1.5 s"),
        ],
        [
            "of it, a proxy from when it has its identity until it is ready",
            f"{ready:.2f}",
            f"{ready / ping:.2f}",
            _met(ready <= 0.3, "at most 0.3 s"),
        ],
        ["the rest", f"{rest:.2f}", f"{rest / ping:.2f}", _met(rest <= 4 * ping, "at most 4 x ping")],
        [
            f"the rest without the {HEALTHY_SECONDS:g} s in which a started unit must not restart",
            f"{watched:.2f}",
            f"{watched / ping:.2f}",
            _met(watched <= 2 * ping, "at most 2.0 x ping"),
        ],
    ]
    return "\n" + _table(["first deploy of the web service", "median, s", "over ping", "goal"], rows)


def wires(figures: Figures) -> str:
    rows = []
    for name, (warm, fresh) in figures.wires.items():
        goal = ""
        if name != c.PING:
            goal = _met(warm.to_robot < 2000 and fresh.to_robot < 6000, "under 2,000 warm, under 6,000 fresh")
        rows.append([name, *(f"{number:,.0f}" for number in (warm.to_robot, warm.from_robot, fresh.to_robot, fresh.from_robot)), goal])
    return _table(["bytes per robot and run", "to it, warm", "from it, warm", "to it, fresh", "from it, fresh", "goal"], rows)


def calls(figures: Figures) -> str:
    rows = []
    for name, called in figures.calls.items():
        few = called.per_robot <= 2 and called.round_trips <= 1 and called.lines <= 12
        goal = _met(few, "at most 2 lines, 1 round trip, 12 lines in all") if name != c.PING else ""
        rows.append([name, *map(str, (called.per_robot, called.once, called.round_trips, called.lines)), goal])
    return _table(["run", "task lines of each robot", "lines once per run", "round trips to each robot", "all lines", "goal"], rows)


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
            f"{fleet.resident / 1024:.0f} ({(fleet.resident - fleet.resident_before) / fleet.robots:.0f} KiB per robot)",
            f"{fleet.request:.0f}",
            f"{fleet.sealed / 1024:.0f}",
            f"{fleet.opened * 1000:.1f}",
            _met(fleet.seconds <= 2.5, "at most 2.5 s") if fleet is largest else "",
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
        "memory, MiB",
        "asked of each robot, bytes",
        "plan of each robot, KiB",
        "read for a changed robot, ms",
        "goal",
    ]
    return _table(head, rows)


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
    return _table(head, rows)


def names(figures: Figures) -> str:
    empty, ping = figures.names[NOTHING], figures.names[PING]
    rows = [
        [
            name,
            f"{one.seconds:.1f}",
            f"{one.cpu:.1f}",
            f"{(one.cpu - empty.cpu) / NAMES * 1000:.0f}" if name != NOTHING else "",
            f"{one.seconds / ping.seconds:.2f}",
            _met(one.seconds <= 0.25 * ping.seconds, "at most 0.25 x ping") if name == OURS else "",
        ]
        for name, one in figures.names.items()
    ]
    head = [f"{NAMES} names", "median, s", "controller's CPU, s", "of it for each robot, ms", "over ping", "goal"]
    return _table(head, rows)


def memory(figures: Figures) -> str:
    found = figures.resident
    helpers = [process for process in found.ours if process.unit.startswith(("k8s4r-task-", "k8s4r-init-"))]
    others = [process for process in found.ours if process not in helpers]
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
            _met(largest < 1024, f"under 1 MB each task (is {largest:,} KiB, proportional)"),
        ],
        [
            "anything else of ours: " + (", ".join(sorted({p.name for p in others})) or "nothing"),
            str(len(others)),
            f"{max((p.resident for p in others), default=0):,}",
            f"{sum(p.proportional for p in others):,}",
            _met(not others, "0"),
        ],
        ["Envoy, which is not ours", "", f"{found.envoy:,}", "", ""],
    ]
    return _table(
        [f"on a robot with {found.tasks} tasks", "processes", "largest resident set, KiB", "all, proportional, KiB", "goal"], rows
    )


def engine(figures: Figures) -> str:
    found = figures.engine
    first, second = found.holds_nothing - found.python, found.unchanged - found.systemctl
    rows = [
        ["a job of which the robot holds nothing", "`python3 -I`", f"{found.python:.1f}", f"{found.holds_nothing:.1f}", f"{first:.1f}"],
        [f"{found.tasks} running tasks", "`systemctl show` of them", f"{found.systemctl:.1f}", f"{found.unchanged:.1f}", f"{second:.1f}"],
    ]
    goals = [_met(more <= 15, "at most 15 ms more") for more in (first, second)]
    head = ["unchanged", "beside", "that, ms", "the engine, ms", "more, ms", "goal"]
    return _table(head, [[*row, goal] for row, goal in zip(rows, goals, strict=True)])


def data_path(found: DataPath) -> str:
    """Requests through a pair of our proxies over those through a hand-tuned pair, and what idle proxies take."""
    rows = []
    for connections, pairs in found.pairs.items():
        low, middle, high = ratios(pairs)
        ours, tuned = ([pair[side] for pair in pairs] for side in (0, 1))
        speeds = [f"{statistics.median(sample.requests for sample in samples):,.0f}" for samples in (ours, tuned)]
        latencies = [f"{statistics.median(sample.p99 for sample in samples):.2f}" for samples in (ours, tuned)]
        goal = _met(middle >= 0.98, "at least 0.98")
        rows.append([str(connections), *speeds, f"{middle:.3f}", f"{low:.3f}-{high:.3f}", *latencies, goal])
    head = ["connections", "ours, requests/s", "hand-tuned", "ours over it", "quartiles", "ours, p99 ms", "hand-tuned", "goal"]
    memory = [[name, f"{resident:,}", f"{anonymous:,}", ""] for name, (resident, anonymous) in found.memory.items()]
    return _table(head, rows) + "\n" + _table(["idle proxy", "resident, KiB", "of it, anonymous, KiB", ""], memory)


def document(figures: Figures) -> str:
    runs = (HEAD, times(figures.samples), BYTES, wires(figures), CALLS, calls(figures))
    parts = (
        *runs,
        ENGINE,
        engine(figures),
        FLEETS,
        fleets(figures),
        GROWTH,
        growth(figures),
        MANY,
        names(figures),
        MEMORY,
        memory(figures),
        DATA_PATH,
        data_path(figures.data_path),
    )
    filled = "\n".join(parts).replace("@rounds@", str(figures.rounds)).replace("@often@", str(len(figures.samples[c.PING])))
    cores = os.cpu_count() or 1
    first, last = (f"{load:.1f}" for load in figures.loads)
    load = f"{first} before the rounds and {last} after them, {QUIET if max(figures.loads) <= 2 * cores else BUSY}"
    return filled.replace("@cores@", str(cores)).replace("@load@", load)


QUIET = "which is what the benchmark itself causes."
BUSY = """\
more than the benchmark causes:
other programs were running, so the seconds say little, and the ratios favour those that compute least."""


HEAD = """\
# Benchmarks

Written by `make bench`. Every figure is as measured, whether it reaches its goal or not. One machine with @cores@ cores runs the
controller and two container robots (Debian bookworm, complete with systemd), so the times include the work of the robots.
The load average was @load@

## Time of a whole run

Wall-clock time from the start of the command to its end. The contenders take turns in one process, for @rounds@ rounds; those whose
ratio is near their goal run three times in each round, so that their medians are of @often@ runs. Connections are warm unless a row
says fresh: multiplexed OpenSSH (ControlPersist), opened before the clock starts. pyinfra has an SSH client of its own and connects
anew in each run, as it always does; Mitogen keeps its interpreters for one run. Ansible runs with pipelining, without facts, with
five forks, and with bytecode caching on. The plain role has three loops over six items (copy, template, systemd_service). The
result of each run is checked: an unchanged one must report 0 changes.
"""

BYTES = """\

## Bytes

Counted by the robot's network interface, with Ethernet headers and acknowledgements; medians of three runs on two robots. The SPIRE
agents are halted meanwhile, because what they exchange with their server, about 1 KB a second, is not part of a run.
"""

CALLS = """\

## Task lines and round trips

Task lines of each robot are the lines of output that a larger fleet has more of. A round trip is one command over SSH. All lines are
those that are not empty, of a run on two robots with Ansible's own callback.
"""

ENGINE = """
## The engine on a robot

The robot's part of an unchanged run: the engine that it keeps, called as the controller calls it, but on the robot itself. Medians
of 40 calls, in turns with what stands beside them. The engine asks systemd itself, over D-Bus, for less than systemctl does.

"""


FLEETS = """\

## Large fleets

Placement and compilation of 5 groups on every robot, with the collection's own functions, without Ansible, in CPU seconds
of the one thread that does it; the median of three processes for each size. Linear means that the milliseconds per robot
stay the same. Every robot of the inventory is compiled; a digest is made and a plan is encrypted only for those that the run
reaches, here all of them. The plan is read by the worker of each robot that changed.
"""

GROWTH = """\

Complete unchanged runs, limited (`--limit`) to the two robots of an inventory that names many more, with 6 tasks on each. Placement
and compilation are done for every robot, and two robots are asked. CPU time and the largest process of the controller, medians of three.
"""

MANY = """\

Complete runs on an inventory in which the two robots have many names: what each further robot of a run costs the controller. Five
forks, warm connections, medians of five runs in turns. The robots compute on the same cores, each for half of the names.
"""

MEMORY = """\

## What stays in a robot's memory

The resident set of a process includes the pages that it shares with others, above all those of the C library. The proportional set
includes only its share of them.
"""

DATA_PATH = """
## Requests through the proxies

From wrk on one robot to nginx on the other, both of Debian, over HTTP: through a pair of our proxies as a job gets them, with their
log, and through a pair of the same Envoy that is tuned by hand: static, without a log, certificates in files. Both have one worker
each and mTLS in which each side accepts exactly the other. They take turns; the ratio is of each turn, its median and quartiles are of
20 turns of 2 s. The machine's cores are shared by everything: wrk, nginx and four proxies.
"""
