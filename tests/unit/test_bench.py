# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's own reckoning, and how it calls plugins of CNI; these here write down what they are given."""

from __future__ import annotations

import inspect
import json
import pathlib
import subprocess
import sys

import pytest

from tests.bench import bridge, report_pods
from tests.bench.start_pods import BARE, HOST, NOMAD, POD, PROGRAM, Life, Lives

ALLOC = "5b6a2c1e-0000-4000-8000-000000000001"
NAMES = ["loopback", "bridge", "firewall", "portmap"]

PLUGIN = """\
#!{python}
import json, os, sys
reads = json.load(sys.stdin)
called = {{name: os.environ["CNI_" + name] for name in ("COMMAND", "CONTAINERID", "NETNS", "IFNAME", "PATH")}}
with open(os.path.join(called["PATH"], "calls"), "a") as calls:
    calls.write(json.dumps([reads, called]) + "\\n")
if called["COMMAND"] == "ADD":
    print(json.dumps({{"by": reads["type"]}}))
"""


@pytest.fixture
def plugins(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in NAMES:
        (tmp_path / name).write_text(PLUGIN.format(python=sys.executable))
        (tmp_path / name).chmod(0o755)
    return tmp_path


def calls(plugins: pathlib.Path) -> list[tuple[dict, dict]]:
    return [tuple(json.loads(line)) for line in (plugins / "calls").read_text().splitlines()]


def test_each_plugin_is_given_what_the_one_before_it_came_to(plugins: pathlib.Path) -> None:
    assert bridge.add(ALLOC, str(plugins)) == {"by": "portmap"}
    assert [(reads["type"], reads.get("prevResult")) for reads, _called in calls(plugins)] == [
        ("loopback", None),
        ("bridge", {"by": "loopback"}),
        ("firewall", {"by": "bridge"}),
        ("portmap", {"by": "firewall"}),
    ]
    for reads, called in calls(plugins):
        assert (reads["name"], reads["cniVersion"]) == ("nomad", "0.4.0")
        assert called == {
            "COMMAND": "ADD",
            "CONTAINERID": ALLOC,
            "NETNS": f"/var/run/netns/{ALLOC}",
            "IFNAME": "eth0",
            "PATH": str(plugins),
        }


def test_the_way_back_begins_at_the_last_plugin(plugins: pathlib.Path) -> None:
    bridge.delete(ALLOC, {"by": "portmap"}, str(plugins))
    assert [(reads["type"], reads["prevResult"], called["COMMAND"]) for reads, called in calls(plugins)] == [
        (name, {"by": "portmap"}, "DEL") for name in reversed(NAMES)
    ]


def test_only_a_plugin_that_maps_ports_is_told_of_them() -> None:
    ports = [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]
    told = {plugin["type"]: bridge.settings(plugin, ports, None).get("runtimeConfig") for plugin in bridge.CHAIN}
    assert told == {"loopback": None, "bridge": None, "firewall": None, "portmap": {"portMappings": ports}}


def test_a_plugin_that_fails_ends_it_with_what_it_says(plugins: pathlib.Path) -> None:
    (plugins / "firewall").write_text("#!/bin/sh\necho '{\"code\": 999}'; exit 1\n")
    with pytest.raises(SystemExit, match=r"firewall ADD: .*999"):
        bridge.add(ALLOC, str(plugins))
    assert [reads["type"] for reads, _called in calls(plugins)] == ["loopback", "bridge"]


def test_what_runs_on_a_robot_needs_nothing_but_its_python() -> None:
    text = f"{inspect.getsource(bridge)}\ncompile({PROGRAM!r}, 'program', 'exec')\n"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_network_costs_is_the_median_of_what_each_turn_takes_more() -> None:
    turns = {
        HOST: [Life(100, 10), Life(300, 10), Life(110, 10)],
        POD: [Life(140, 40), Life(350, 50), Life(170, 60)],
        BARE: [Life(20, 5)] * 3,
        NOMAD: [Life(120, 65), Life(130, 75), Life(500, 85)],
    }
    text = report_pods.lives(Lives(turns, (0.5, 1.25)))
    rows = {cells[1]: cells[2:-1] for line in text.splitlines()[2:6] for cells in [[cell.strip() for cell in line.split("|")]]}
    assert rows == {
        "a group's task, on the robot's own network": ["110", "", "", "10", "", ""],
        "the same task, in a pod": ["170", "50", "45-55", "50", "40", "at most 150 ms more: reached"],
        "a bare unit, on the robot's own network": ["20", "", "", "5", "", ""],
        "the same unit, in a network of Nomad's bridge mode": ["130", "110", "105-295", "75", "70", "beside it"],
    }


def test_a_pod_that_starts_too_late_misses_its_goal() -> None:
    turns = {HOST: [Life(100, 10)] * 3, POD: [Life(251, 10)] * 3, BARE: [Life(20, 5)] * 3, NOMAD: [Life(120, 65)] * 3}
    assert "at most 150 ms more: **missed**" in report_pods.lives(Lives(turns, (0.5, 1.2)))
