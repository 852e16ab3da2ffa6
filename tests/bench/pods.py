# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: how much later their first task starts than on the robot's own network, what fifty of them cost, and what they carry.

What they carry is measured beside networks made by hand of the same parts: two namespaces on a bridge, and one rule of nftables that
leads to one of them.
"""

from __future__ import annotations

import re
import shlex
import statistics
import typing as t

from .contenders import anything, unchanged
from .stage import HERE, Bench, BenchError, Timed, install
from .start_pods import Lives, start_pods

ROBOT, OTHER, PODS, ROUNDS, PAIRS, SECONDS = "robot1", "robot2", 50, 7, 12, 2
PORT, HAND_PORT = 8088, 18090

# The proportional set of what holds the networks of pods: all processes of their units.
HELD = r"""
for unit in $(systemctl list-units --plain --no-legend 'k8s4r-pod-*.service' | cut -d' ' -f1); do
    for p in $(cat "/sys/fs/cgroup$(systemctl show -p ControlGroup --value $unit)/cgroup.procs" 2>/dev/null ||
               cat "/sys/fs/cgroup/systemd$(systemctl show -p ControlGroup --value $unit)/cgroup.procs"); do
        sed -n 's/^Pss: *\([0-9]*\).*/\1/p' /proc/$p/smaps_rollup
    done
done
"""

NGINX = """
worker_processes 1; daemon off; pid /run/bench-pods-{name}.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    server {{ listen 0.0.0.0:{port}; location / {{ return 200 "ok\\n"; }} location /big {{ root /run/bench-pods; }} }}
}}
"""

# Two namespaces on a bridge, and what leads to one of them from elsewhere.
BY_HAND = f"""
ip link add bench0 type bridge && ip address add 172.31.250.1/24 dev bench0 && ip link set bench0 up
for n in 2 3; do
    ip netns add bench$n && ip link add bench-v$n type veth peer name eth0 netns bench$n
    ip link set bench-v$n master bench0 up && ip -n bench$n link set lo up && ip -n bench$n link set eth0 up
    ip -n bench$n address add 172.31.250.$n/24 dev eth0 && ip -n bench$n route add default via 172.31.250.1
done
nft -f - <<'END'
table ip bench {{
    chain to {{ type nat hook prerouting priority dstnat; tcp dport {HAND_PORT} dnat to 172.31.250.3:{PORT}; }}
}}
END
"""
AWAY = (
    "nft delete table ip bench; ip netns delete bench2; ip netns delete bench3; ip link delete bench0;"
    " systemctl stop 'bench-pods-*'; rm -rf /run/bench-pods; true"
)


class Pods(t.NamedTuple):
    """Starts and stops in turns, whole runs in seconds, memory of each pod in KiB.

    `carried` has (ours, by hand) requests per second for each way, in turns.
    """

    lives: Lives
    ping: float
    unchanged: float
    held: float
    carried: dict[str, list[tuple[float, float]]]


def pods(bench: Bench) -> Pods:
    """All of it, on two robots."""
    lives = start_pods(bench, ROBOT)
    ping, same, held = _fifty(bench)
    return Pods(lives, ping, same, held, _carried(bench))


def _limited(command: t.Sequence[str]) -> list[str]:
    return [*command, "--limit", ROBOT]


def _fifty(bench: Bench) -> tuple[float, float, float]:
    """A ping and an unchanged run take turns."""
    bench.run(_limited(bench.deploy("pods.yml")))
    seconds: dict[str, list[float]] = {"ping": [], "unchanged": []}
    for _round in range(ROUNDS):
        for name, command, verify in (
            ("ping", bench.playbook("--limit", ROBOT, str(HERE / "plain" / "ping.yml")), anything),
            ("unchanged", _limited(bench.deploy("pods.yml")), unchanged),
        ):
            timed: Timed = bench.run(command)
            verify(timed)
            seconds[name].append(timed.seconds)
    held = sum(map(int, bench.on(ROBOT, HELD).split())) / PODS
    bench.run(_limited(bench.remove("pods.yml")))
    return statistics.median(seconds["ping"]), statistics.median(seconds["unchanged"]), held


def _carried(bench: Bench) -> dict[str, list[tuple[float, float]]]:
    for robot, package in ((ROBOT, "wrk"), (ROBOT, "nginx-light"), (OTHER, "wrk")):
        install(bench, robot, package)
    bench.on(ROBOT, "systemctl stop nginx")
    bench.run(_limited(bench.deploy("links.yml")))
    try:
        return dict(_ways(bench))
    finally:
        bench.on(ROBOT, AWAY)
        bench.run(_limited(bench.remove("links.yml")))


def _ways(bench: Bench) -> t.Iterator[tuple[str, list[tuple[float, float]]]]:
    home = bench.on(ROBOT, "ls -d /var/lib/k8s4r/groups/bench-links-links-*").strip()
    networks = [f"k8s4r-{home.rpartition('/')[2]}-r{index}" for index in range(2)]
    address, port = bench.on(ROBOT, f"until [ -s {home}/alloc/r1 ]; do sleep 0.1; done; cat {home}/alloc/r1").split()
    bench.on(ROBOT, BY_HAND)
    for name, network in (("ours", networks[1]), ("hand", "bench3")):
        text = NGINX.format(name=name, port=PORT)
        bench.on(
            ROBOT, f"mkdir -p /run/bench-pods; cd /run/bench-pods; head -c 1048576 /dev/zero >big; printf %s {shlex.quote(text)} >{name}"
        )
        serve = f"ip netns exec {network} /usr/sbin/nginx -c /run/bench-pods/{name}"
        bench.on(ROBOT, f"systemd-run --quiet --unit bench-pods-{name} {serve}")
    near = bench.fleet.address(ROBOT)
    ways = {
        "from pod to pod": (ROBOT, f"ip netns exec {networks[0]} ", f"{address}:{PORT}", "ip netns exec bench2 ", f"172.31.250.3:{PORT}"),
        "from another robot to a published port": (OTHER, "", f"{near}:{port}", "", f"{near}:{HAND_PORT}"),
    }
    for way, (robot, enter, ours, enter_hand, hand) in ways.items():
        for path, what in (("", "requests/s"), ("big", "files of 1 MiB/s")):
            yield (
                f"{way}, {what}",
                [_turn(bench, robot, (enter + ours, enter_hand + hand), path, number % 2 == 1) for number in range(PAIRS)],
            )


def _turn(bench: Bench, robot: str, sides: tuple[str, str], path: str, hand_first: bool) -> tuple[float, float]:
    ours, hand = (side.rpartition(" ") for side in sides)
    measure = {"ours": lambda: _wrk(bench, robot, ours[0], ours[2], path), "hand": lambda: _wrk(bench, robot, hand[0], hand[2], path)}
    found = {name: measure[name]() for name in sorted(measure, reverse=not hand_first)}
    return found["ours"], found["hand"]


def _wrk(bench: Bench, robot: str, enter: str, address: str, path: str) -> float:
    said = bench.on(robot, f"{enter} wrk --threads 1 --connections 16 --duration {SECONDS}s http://{address}/{path}")
    requests = re.search(r"Requests/sec: +([\d.]+)", said)
    if not requests or "Non-2xx" in said or "Socket errors" in said:
        raise BenchError(f"wrk at {address}: {said}")
    return float(requests[1])
