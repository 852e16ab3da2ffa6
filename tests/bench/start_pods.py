# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much later a group's task runs in a pod, beside how much later the same command runs in a network of Nomad's bridge mode."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import statistics
import typing as t

import yaml

from . import bridge
from .stage import HERE, Bench, install

TURNS = 21
HOST, POD, BARE, NOMAD = "host", "pod", "bare", "nomad"
JOB = "start-pod.yml"
# As Nomad's client is one: on a busy machine, what is in no unit gets more of the processors than what is in one.
SERVICE = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]

# Runs on the robot below the text of bridge.py. Both groups are stopped as a whole and started as a whole; so are two bare units, of which
# one is in a namespace that is made for it.
PROGRAM = r"""
import sys, time, uuid

class Group:
    def __init__(self, name):
        (home,) = [entry for entry in os.scandir("/var/lib/k8s4r/groups") if entry.name.startswith("bench-pod-" + name + "-")]
        self.mark, self.target = home.path + "/alloc/started", "k8s4r-group-" + home.name + ".target"
        self.units = "k8s4r-*-" + home.name + "-r0.service"
    def start(self):
        subprocess.run(["systemctl", "start", self.target], check=True)
    def stop(self):
        subprocess.run(["systemctl", "stop", self.target, self.units], check=True)

class Bare:
    mark, unit, into = "/run/bench-bare/started", "bench-bare.service", ()
    def start(self):
        unit = ["systemd-run", "--quiet", "--collect", "--unit=" + self.unit, "--property=Type=exec"]
        alloc = "--setenv=NOMAD_ALLOC_DIR=" + os.path.dirname(self.mark)
        subprocess.run([*unit, alloc, *self.into, "/bin/sh", "-c", sys.argv[2]], check=True)
    def stop(self):
        subprocess.run(["systemctl", "stop", self.unit], check=True)

class Nomad(Bare):
    mark, unit = "/run/bench-nomad/started", "bench-nomad.service"
    def start(self):
        self.alloc = str(uuid.uuid4())
        self.result = up(self.alloc)
        self.into = ["--property=NetworkNamespacePath=" + namespace(self.alloc)]
        super().start()
    def stop(self):
        super().stop()
        down(self.alloc, self.result)

def timed(what):
    begun = time.time()
    what()
    return time.time() - begun

def started(contender):
    begun, text = time.time(), ""
    contender.start()
    while not text.endswith("\n"):
        time.sleep(0.002)
        if os.path.exists(contender.mark):
            with open(contender.mark) as stream:
                text = stream.read()
    return int(text) / 1e9 - begun

contenders = {"host": Group("host"), "pod": Group("pod"), "bare": Bare(), "nomad": Nomad()}
for group in ("host", "pod"):
    contenders[group].stop()
for name in ("bare", "nomad"):
    os.makedirs(os.path.dirname(contenders[name].mark), exist_ok=True)
times = {name: [] for name in contenders}
for turn in range(int(sys.argv[1]) + 1):
    for name, contender in contenders.items():
        if os.path.exists(contender.mark):
            os.unlink(contender.mark)
        start = started(contender)
        if not turn and name == "nomad":
            inside = os.readlink("/proc/%s/ns/net" % _run("systemctl", "show", "-P", "MainPID", contender.unit).strip())
            address = contender.result["ips"][0]["address"]
            if inside == os.readlink("/proc/self/ns/net") or address not in _run("ip", "-n", contender.alloc, "address"):
                sys.exit("no network of Nomad's bridge mode: " + json.dumps(contender.result))
        stop = timed(contender.stop)
        if turn:
            times[name].append((start, stop))
print(json.dumps(times))
"""
# What the plugins leave for the next allocation. No one else has a table of this name here; the other one also has rules of Docker.
AWAY = (
    f"ip link delete {bridge.BRIDGE}; iptables-save | grep -v -e CNI- -e {bridge.ADMIN} | iptables-restore; nft delete table ip filter;"
    " rm -rf /run/bench-bare /run/bench-nomad"
)


class Life(t.NamedTuple):
    """Milliseconds: from the order to start it until its program runs, and from the order to stop it until nothing of it is left."""

    start: float
    stop: float


class Lives(t.NamedTuple):
    """Each contender's turns, and the machine's load average before all of them and after."""

    turns: dict[str, list[Life]]
    loads: tuple[float, float]


def start_pods(bench: Bench, robot: str) -> Lives:
    """All take turns."""
    for package in ("containernetworking-plugins", "iptables"):
        install(bench, robot, package)
    bench.run([*bench.deploy(JOB), "--limit", robot])
    task = yaml.safe_load((HERE / "jobs" / JOB).read_text())["taskGroups"][0]["tasks"][0]
    _shell_option, command = task["config"]["execConfig"]["args"]
    program = inspect.getsource(bridge) + PROGRAM
    before = os.getloadavg()[0]
    try:
        times = json.loads(bench.on(robot, shlex.join([*SERVICE, "python3", "-c", program, str(TURNS), command])))
        loads = (before, os.getloadavg()[0])
    finally:
        bench.on(robot, AWAY)
        bench.run([*bench.remove(JOB), "--limit", robot])
    turns = {name: [Life(start * 1000, stop * 1000) for start, stop in each] for name, each in times.items()}
    return Lives(turns, loads)


def middle(turns: t.Sequence[Life]) -> Life:
    return Life(statistics.median(turn.start for turn in turns), statistics.median(turn.stop for turn in turns))


def more(turns: t.Sequence[Life], than: t.Sequence[Life]) -> list[Life]:
    """Of each turn."""
    return [Life(one.start - other.start, one.stop - other.stop) for one, other in zip(turns, than, strict=True)]
