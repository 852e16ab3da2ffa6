# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.bench``: measure, print the tables, and write them to docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import typing as t

from tests.robots import RobotsError
from tests.robots.host import CHECKOUT

from . import (
    contenders,
    data_path,
    engine,
    fifty,
    growth,
    log_path,
    moves,
    names,
    pods,
    report,
    report_moves,
    report_pods,
    report_tasks,
    resident,
    rounds,
    scale,
    start,
    start_pods,
    traffic,
)
from .report import Figures
from .stage import BUILD, Bench, BenchError

OUTPUT = CHECKOUT / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of every contender; medians of fewer than 7 are not published")
    parser.add_argument("--only", action="append", help="part of a contender's name; may be repeated; nothing is published")
    parser.add_argument("--tasks", action="store_true", help="only the life of tasks; nothing is published")
    parser.add_argument("--data-path", action="store_true", help="only the requests through proxies; nothing is published")
    parser.add_argument("--moves", action="store_true", help="only a service that moves; nothing is published")
    parser.add_argument("--pods", action="store_true", help="only pods; nothing is published")
    parser.add_argument("--pod-starts", action="store_true", help="of pods, only how late they start; nothing is published")
    parser.add_argument("--keep", action="store_true", help="leave the robots up")
    return parser.parse_args()


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure(bench: Bench, number: int) -> Figures:
    everyone = contenders.contenders(bench)
    by_name = {contender.name: contender for contender in everyone}
    say("settling: each contender once")
    contenders.settle(bench, everyone)
    before = os.getloadavg()[0]
    samples = rounds.rounds(bench, everyone, number, say)
    loads = (before, os.getloadavg()[0])
    say("bytes and calls")
    with bench.without_spire():
        wires = {
            name: (traffic.traffic(bench, by_name[name], False, 3), traffic.traffic(bench, by_name[name], True, 3))
            for name in (contenders.PING, contenders.SIX, contenders.WEB)
        }
    called = {name: traffic.calls(bench, by_name[name]) for name in (contenders.PING, contenders.SIX, contenders.WEB)}
    say("simulated fleets")
    grown = [growth.growth(bench, size) for size in (len(bench.robots), *scale.SIZES)]
    say("many names")
    named = names.names(bench)
    say("the engine on a robot")
    alone = engine.engine(bench, bench.robots[0])
    remaining = resident.resident(bench, bench.robots[0])
    say("fifty tasks, the start of a task, and its log")
    lived = (fifty.fifty(bench), start.start(bench), log_path.log_path(bench))
    carried = data_path.data_path(bench, say)
    say("pods")
    networks = (pods.pods(bench), moves.moves(bench))
    return Figures(number, samples, wires, called, fleets(), grown, named, remaining, alone, carried, *lived, *networks, loads)


def fleets() -> list[scale.Scale]:
    """One process for each size, three times: the median one."""
    environment = {**os.environ, "PYTHONPATH": f"{BUILD}:{CHECKOUT}"}

    def once(size: int) -> scale.Scale:
        done = subprocess.run([sys.executable, "-m", "tests.bench.scale", str(size)], env=environment, capture_output=True, check=True)
        return scale.Scale(**json.loads(done.stdout))

    return [sorted((once(size) for _run in range(3)), key=lambda one: one.seconds)[1] for size in scale.SIZES]


def only(bench: Bench, wanted: t.Sequence[str], number: int) -> str:
    chosen = [c for c in contenders.contenders(bench) if c.name == contenders.PING or any(part in c.name for part in wanted)]
    contenders.settle(bench, chosen)
    return report.times(rounds.rounds(bench, chosen, number, say))


def main() -> None:
    options = arguments()
    bench = Bench()
    try:
        if options.data_path:
            print(report.data_path(data_path.data_path(bench, say)))
            return
        if options.moves:
            print(report_moves.moves(moves.moves(bench)))
            return
        if options.pods:
            print(report_pods.pods(pods.pods(bench)))
            return
        if options.pod_starts:
            print(report_pods.lives(start_pods.start_pods(bench, pods.ROBOT)))
            return
        if options.tasks:
            print(report_tasks.fifty(fifty.fifty(bench)))
            print(report_tasks.start(start.start(bench)))
            print(report_tasks.log_path(log_path.log_path(bench)))
            return
        if options.only:
            print(only(bench, options.only, options.rounds))
            return
        text = report.document(measure(bench, options.rounds))
        print(text)
        if options.rounds >= 7:
            OUTPUT.write_text(text, encoding="utf-8")
            say(f"written to {OUTPUT.relative_to(CHECKOUT)}")
    finally:
        if not options.keep:
            bench.fleet.down()


if __name__ == "__main__":
    try:
        main()
    except (BenchError, RobotsError) as error:
        sys.exit(f"bench: {error}")
