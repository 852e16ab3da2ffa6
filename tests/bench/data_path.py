# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through a pair of our proxies beside a hand-tuned pair of the same Envoy: wrk on one robot, nginx on the other."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import statistics
import typing as t

from .stage import Bench, BenchError, install
from .tuned import answerer, caller

PAIRS, SECONDS, CONNECTIONS = 20, 2, (16, 1)
CALLER, ANSWERER = "robot1", "robot2"
# Where a caller reaches our pair, and the hand-tuned one; the ports between its two proxies, and that of nginx.
OURS, TUNED, BETWEEN, BEHIND = 9088, 9188, 18188, 8088

NGINX = f"""
worker_processes 1; daemon off; pid /run/bench-nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    server {{ listen 127.0.0.1:{BEHIND}; location / {{ return 200 "ok\\n"; }} }}
}}
"""
ENVOY = "/opt/k8s4r/bin/envoy --concurrency 1 --disable-hot-restart --log-level warning"
MINT = "/opt/k8s4r/bin/spire-server x509 mint -socketPath /run/spire/server/api.sock -ttl 12h"


class Sample(t.NamedTuple):
    """One run of wrk: requests per second, and the 99th percentile of the latency in milliseconds."""

    requests: float
    p99: float


class DataPath(t.NamedTuple):
    """`pairs` are (ours, hand-tuned) by the number of connections; `memory` is of idle proxies, in KiB: resident and, of that,
    not backed by a file.
    """

    pairs: dict[int, list[tuple[Sample, Sample]]]
    memory: dict[str, tuple[int, int]]


def data_path(bench: Bench, say: t.Callable[[str], None]) -> DataPath:
    """Both pairs are up all the time and take turns, since one and the same pair differs from itself by 11 %."""
    with _pairs(bench):
        memory = {name: _memory(bench, robot, unit) for name, (robot, unit) in PROXIES.items()}
        pairs = {}
        for connections in CONNECTIONS:
            say(f"data path, {connections} connections")
            for port in (OURS, TUNED):
                _wrk(bench, port, connections, 1)
            pairs[connections] = [_turn(bench, connections, number % 2 == 1) for number in range(PAIRS)]
    return DataPath(pairs, memory)


PROXIES = {
    "ours, the caller's": (CALLER, "k8s4r-proxy-bench-call-web-*"),
    "hand-tuned, the caller's": (CALLER, "bench-tuned"),
    "ours, the service's": (ANSWERER, "k8s4r-proxy-bench-answer-web-*"),
    "hand-tuned, the service's": (ANSWERER, "bench-tuned"),
}


def ratios(pairs: t.Sequence[tuple[Sample, Sample]]) -> tuple[float, float, float]:
    """Our requests per second over those of the hand-tuned pair: the quartiles, with the median in the middle."""
    low, middle, high = statistics.quantiles([ours.requests / tuned.requests for ours, tuned in pairs], n=4, method="inclusive")
    return low, middle, high


@contextlib.contextmanager
def _pairs(bench: Bench) -> t.Iterator[None]:
    for robot, package in ((CALLER, "wrk"), (ANSWERER, "nginx-light")):
        install(bench, robot, package)
    bench.on(ANSWERER, "systemctl stop nginx")
    bench.run(bench.deploy("pair"))
    try:
        _tuned(bench)
        yield
    finally:
        for robot in (CALLER, ANSWERER):
            bench.on(robot, "systemctl stop bench-tuned bench-nginx 2>/dev/null; rm -rf /run/bench-pair")
        bench.run(bench.remove("pair"))


def _tuned(bench: Bench) -> None:
    home = "/run/bench-pair"
    identity = "spiffe://fleet.example/ns/default/job/bench-{}/group/web"
    sides = {
        CALLER: ("call", caller(TUNED, bench.fleet.address(ANSWERER), BETWEEN, identity.format("answer"), home)),
        ANSWERER: ("answer", answerer(BETWEEN, BEHIND, identity.format("call"), home)),
    }
    for robot, (name, configuration) in sides.items():
        # The machine of the SPIRE server is the caller's.
        bench.on(CALLER, f"mkdir -p {home}/{name} && {MINT} -spiffeID {identity.format(name)} -write {home}/{name}")
        files = {file: bench.on(CALLER, f"cat {home}/{name}/{file}") for file in ("svid.pem", "key.pem", "bundle.pem")}
        files |= {"envoy.json": json.dumps(configuration), "nginx.conf": NGINX}
        writes = [f"printf %s {shlex.quote(content)} >{home}/{file}" for file, content in files.items()]
        bench.on(robot, " && ".join([f"mkdir -p {home}", *writes, f"systemd-run --quiet --unit bench-tuned {ENVOY} -c {home}/envoy.json"]))
    bench.on(ANSWERER, f"systemd-run --quiet --unit bench-nginx /usr/sbin/nginx -c {home}/nginx.conf")
    answers = "until python3 -c 'import urllib.request; urllib.request.urlopen(\"http://127.0.0.1:{}\")' 2>/dev/null; do sleep 0.2; done"
    bench.on(CALLER, f"timeout 30 sh -c {shlex.quote('; '.join(answers.format(port) for port in (OURS, TUNED)))}")


def _turn(bench: Bench, connections: int, tuned_first: bool) -> tuple[Sample, Sample]:
    if tuned_first:
        tuned = _wrk(bench, TUNED, connections, SECONDS)
        return _wrk(bench, OURS, connections, SECONDS), tuned
    return _wrk(bench, OURS, connections, SECONDS), _wrk(bench, TUNED, connections, SECONDS)


UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def _wrk(bench: Bench, port: int, connections: int, seconds: int) -> Sample:
    said = bench.on(CALLER, f"wrk --latency --threads 1 --connections {connections} --duration {seconds}s http://127.0.0.1:{port}/")
    requests, latency = re.search(r"Requests/sec: +([\d.]+)", said), re.search(r"99% +([\d.]+)(us|ms|s)", said)
    if not requests or not latency or "Non-2xx" in said or "Socket errors" in said:
        raise BenchError(f"wrk at port {port}: {said}")
    return Sample(float(requests[1]), float(latency[1]) * UNITS[latency[2]])


def _memory(bench: Bench, robot: str, unit: str) -> tuple[int, int]:
    process = f"$(systemctl show --property=MainPID --value '{unit}')"
    said = bench.on(robot, f"grep -E '^(VmRSS|RssAnon)' /proc/{process}/status")
    found = dict(re.findall(r"(\w+):\s+(\d+) kB", said))
    return int(found["VmRSS"]), int(found["RssAnon"])
