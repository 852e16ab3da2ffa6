# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service under load that gets one more instance and loses it again, ten times: what fails, and how soon the new one is called."""

from __future__ import annotations

import json
import shlex
import statistics
import typing as t

from tests.serving import SERVER

from .contenders import changes
from .stage import Bench, BenchError

JOB, MOVES, RATE, CALLER, NEW = "moves.yml.j2", 10, 200, "robot1", "robot2"

# Eight connections; who has answered how often, what failed, and when somebody has answered who had not for a second.
LOAD = """
import collections, http.client, json, os, sys, threading, time
rate, answers, failed, last, came = int(sys.argv[1]), collections.Counter(), [], {}, []
def work(number):
    connection, due = None, time.monotonic() + number / rate
    while not os.path.exists("/run/bench-moves.enough"):
        due += 8 / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", 9400, timeout=10)
            connection.request("GET", "/")
            answer = connection.getresponse()
            body, now = answer.read().decode(), time.time()
            if answer.status != 200:
                failed.append(body)
                continue
            answers[body] += 1
            if now - last.get(body, 0) > 1:
                came.append([body, now])
            last[body] = now
        except OSError as error:
            connection = None
            failed.append(repr(error))
begun = time.time()
workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps({"answers": answers, "failed": failed, "came": came, "seconds": time.time() - begun}))
"""
# Written when the robot has committed.
COMMITTED = "stat -c %.9Y /var/lib/k8s4r/ledger/default@bench-moves.json"


class Moves(t.NamedTuple):
    """Requests that were answered each second, all and those that failed; and the seconds from each commit of the robot that got the new
    instance until that had answered.
    """

    rate: float
    requests: int
    failed: int
    first: list[float]


def moves(bench: Bench) -> Moves:
    """All of it, on two robots."""
    _deploy(bench, 1)
    bench.on(CALLER, f"rm -f /run/bench-moves.enough; printf %s {shlex.quote(LOAD)} > /run/bench-moves.py")
    bench.on(CALLER, f"systemd-run -q --unit bench-moves -p StandardOutput=file:/run/bench-moves.json python3 /run/bench-moves.py {RATE}")
    committed = []
    for _move in range(MOVES):
        _deploy(bench, 2)
        committed.append(float(bench.on(NEW, COMMITTED)))
        _deploy(bench, 1)
    bench.on(CALLER, "touch /run/bench-moves.enough; while systemctl is-active -q bench-moves; do sleep 0.1; done")
    found = json.loads(bench.on(CALLER, "cat /run/bench-moves.json"))
    bench.run([*bench.remove(JOB), *_variables(1)])
    came = [when for name, when in found["came"] if name == NEW]
    if len(came) != MOVES:
        raise BenchError(f"the new instance came {len(came)} times, not {MOVES}: {found}")
    failed, answered = len(found["failed"]), sum(found["answers"].values())
    first = [when - commit for when, commit in zip(came, committed, strict=True)]
    return Moves(answered / found["seconds"], answered + failed, failed, first)


def middle(found: Moves) -> float:
    return statistics.median(found.first)


def _deploy(bench: Bench, count: int) -> None:
    timed = bench.run([*bench.deploy(JOB), *_variables(count)])
    if not any(changes(timed)):
        raise BenchError(f"this run should have changed something:\n{timed.output[-3000:]}")


def _variables(count: int) -> list[str]:
    return ["-e", json.dumps({"k8s4r_vars": {"count": count, "server": SERVER}})]
