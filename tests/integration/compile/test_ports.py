# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the robot on robots: tasks find them and one another, and nobody gets a port that somebody else has."""

from __future__ import annotations

import pathlib
import shlex
import typing as t

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.engine.harness import Machine

machine = each_of(ENDS)

CACHE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "cache.yml"

# A program that has a port, of TCP or of UDP.
LISTEN = """
import socket, sys, time
kind = socket.SOCK_DGRAM if sys.argv[2] == "udp" else socket.SOCK_STREAM
own = socket.socket(socket.AF_INET, kind)
own.bind(("127.0.0.1", int(sys.argv[1])))
kind == socket.SOCK_STREAM and own.listen()
time.sleep(1000)
"""


def job(name: str, *ports: dict[str, t.Any], task: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    """A job whose tasks do nothing with their ports."""
    group = {"name": "g", "network": {"ports": ports}, "tasks": [task or shell("app", "exec sleep infinity")]}
    return {"name": name, "taskGroups": [group]}


def listening(port: str, protocol: str = "tcp", **keys: t.Any) -> dict[str, t.Any]:
    """A task that has a port."""
    config = {"execConfig": {"command": "/usr/bin/python3", "args": ["-c", LISTEN, port, protocol]}}
    return {"name": "app", "config": config, **keys}


@pytest.fixture
def stranger(machine):
    """Starts a program that is none of ours, and has a port."""

    def start(port: int, protocol: str = "tcp") -> None:
        machine.sh(f"systemd-run --quiet --unit=stranger-{port} /usr/bin/python3 -c {shlex.quote(LISTEN)} {port} {protocol}")
        machine.until(f"ss -lntu | grep -q ':{port} '")

    yield start
    machine.sh("systemctl stop 'stranger-*'")


def numbers(job_plan: dict[str, t.Any]) -> dict[str, int]:
    (group,) = job_plan["groups"]
    return {port["called"]: port["port"] for port in group["ports"] if "called" in port}


def test_a_task_finds_another_one_of_its_group(machine: Machine):
    """With Debian's Redis, as the documents that this project began with have it."""
    (wanted,) = plans(machine, yaml.safe_load(CACHE.read_text()))
    assert machine.deploy(wanted)["status"] == "committed"
    machine.until("grep -qx 1 /var/lib/k8s4r/tasks/cache-cache-r0-app-*/logs/stdout.log")
    number = numbers(wanted)["r0 redis"]
    assert plan.CHOSEN[0] <= number <= plan.CHOSEN[1]
    assert f"127.0.0.1:{number}" in machine.sh("ss -ltn")
    assert machine.ask(wanted)["status"] == "unchanged"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_unchanged_run_sees_who_has_a_port(machine: Machine, protocol, stranger):
    """Whoever runs a task may have its port, and a stranger may not."""
    task = listening("${NOMAD_PORT_x}", protocol, driver="raw_exec", user="root")
    (wanted,) = plans(machine, job("own", {"label": "x", "protocol": protocol}, task=task))
    assert machine.deploy(wanted)["status"] == "committed"
    number = numbers(wanted)["r0 x"]
    machine.until(f"ss -lntu | grep -q ':{number} '")
    assert machine.ask(wanted)["status"] == "unchanged"
    (others,) = plans(machine, job("other", {"label": "y", "protocol": protocol}))
    assert machine.deploy(others)["status"] == "committed"
    # Where nobody has to listen, silence is no difference.
    assert machine.ask(others)["status"] == "unchanged"
    stranger(numbers(others)["r0 y"], protocol)
    assert machine.ask(others)["status"] == "plan-needed"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_static_port_that_a_stranger_has(machine: Machine, stranger, protocol):
    stranger(7070, protocol)
    (wanted,) = plans(machine, job("static", {"label": "x", "static": 7070, "protocol": protocol}))
    answer = machine.deploy(wanted)
    assert answer["status"] == "refused"
    (error,) = answer["errors"]
    shown = "UDP port" if protocol == "udp" else "port"
    assert error.startswith(f"static.yml: taskGroups[0].network.ports[0].static: {shown} 7070 on 127.0.0.1 is taken by python3 (process ")
    assert error.endswith(", unit stranger-7070.service); choose another port, or stop that program")
    machine.absent("ls -A /etc/k8s4r/groups 2>/dev/null | grep .")
    other = "tcp" if protocol == "udp" else "udp"
    assert machine.deploy(*plans(machine, job("static", {"label": "x", "static": 7070, "protocol": other})))["status"] == "committed"


def test_a_static_port_that_is_the_end_of_a_connection(machine: Machine):
    """Somebody else's program is connected to the robot's own SSH server from there."""
    connect = "import socket, time; s = socket.create_connection(('127.0.0.1', 22), source_address=('127.0.0.1', 7071)); time.sleep(1000)"
    machine.sh(f"systemd-run --quiet --unit=stranger-7071 /usr/bin/python3 -c {shlex.quote(connect)}")
    machine.until("ss -nt | grep -q '127.0.0.1:7071 '")
    try:
        answer = machine.deploy(*plans(machine, job("static", {"label": "x", "static": 7071})))
    finally:
        machine.sh("systemctl stop 'stranger-*'")
    assert answer["status"] == "refused"
    assert "port 7071 on :: is taken by python3" in answer["errors"][0]
    assert answer["errors"][0].endswith("as its end of a connection to 127.0.0.1:22; choose another port, or stop that program")


def test_a_port_of_another_job(machine: Machine):
    """One that is static is refused, one that is chosen gives way; where both are given at once, one takes over from the other."""
    (first,) = plans(machine, job("first", {"label": "x"}))
    assert machine.deploy(first)["status"] == "committed"
    number = numbers(first)["r0 x"]
    (second,) = plans(machine, job("second", {"label": "y", "static": number}))
    answer = machine.deploy(second)
    assert answer["status"] == "refused"
    (error,) = answer["errors"]
    assert error.startswith(f"second.yml: taskGroups[0].network.ports[0].static: port {number} on :: belongs to default/first/g; ")
    assert error.endswith("; name another port, or have default/first give it up: deploy that job in the same run, or remove it")
    third = job("third", {"label": "z"})
    (mine,) = plans(machine, third)
    (id,) = [group["id"] for group in mine["groups"]]
    (wanted,) = plans(machine, third, {id: {"r0 z": number}})
    stale = machine.deploy(wanted)
    assert (stale["status"], stale["ports"]) == ("stale", {id: {"r0 z": number + 1}})
    assert machine.deploy(without_groups(first), second)["status"] == "committed"


def test_a_chosen_port_that_is_taken_after_all_was_prepared(machine: Machine, stranger):
    (wanted,) = plans(machine, job("late", {"label": "x"}))
    prepared = machine.prepare(wanted)
    assert prepared["status"] == "staged", prepared
    number = numbers(wanted)["r0 x"]
    stranger(number)
    result = machine.finish(machine.call(op="switch", release=prepared["release"]))
    assert result["status"] == "refused"
    (error,) = result["errors"]
    assert error.endswith(f": port {number} was taken after this run had prepared this robot; run again")
    machine.absent("systemctl list-units --plain --no-legend 'k8s4r-task-*' | grep .")


def test_a_chosen_port_that_is_taken_is_another_one_and_stays_it(machine: Machine, stranger):
    document = job("chosen", {"label": "x"}, {"label": "y", "protocol": "udp"})
    (wanted,) = plans(machine, document)
    first = numbers(wanted)
    stranger(first["r0 x"])
    stale = machine.deploy(wanted)
    (group,) = wanted["groups"]
    named = {group["id"]: {**first, "r0 x": first["r0 x"] + 1}}
    assert (stale["status"], stale["ports"]) == ("stale", named)
    assert stale["capabilities"]["cgroup"] in ("1", "2")
    (again,) = plans(machine, document, named)
    assert machine.deploy(again)["status"] == "committed"
    machine.until(f"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -qx NOMAD_PORT_x={first['r0 x'] + 1}")
    assert machine.ask(again)["status"] == "unchanged"
    machine.sh(f"systemctl stop stranger-{first['r0 x']}")
    # A controller that knows nothing of this is told, also in a check; one that does changes nothing.
    for options in ({}, {"check": True}):
        stale = machine.prepare(wanted, **options)
        assert (stale["status"], stale["ports"]) == ("stale", named)
    assert machine.prepare(again, digest="another")["status"] == "recorded"


def test_each_instance_has_a_port_of_its_own(machine: Machine):
    document = job("two", {"label": "x", "hostIP": "127.0.0.1"}, task=listening("${NOMAD_PORT_x}"))
    document["taskGroups"][0]["count"] = 2
    (wanted,) = plans(machine, document)
    assert machine.deploy(wanted)["status"] == "committed"
    for number in numbers(wanted).values():
        machine.listens(number)
    assert machine.ask(wanted)["status"] == "unchanged"
