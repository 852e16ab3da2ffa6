# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on ports, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import types

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import live, silent
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import ports


def test_who_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ((address, _port, inode, uid, _protocol),) = ports.listeners([plan.port("127.0.0.1", server.getsockname()[1], "here")])
        assert (address, uid) == ("127.0.0.1", os.getuid())
        pid, name, _unit = ports.holders({inode})[inode]
        assert pid == os.getpid()
        assert "py" in name
    assert ports.clash("0.0.0.0", "127.0.0.1")
    assert ports.clash("127.0.0.1", "::")
    assert not ports.clash("127.0.0.1", "10.0.0.1")
    assert not ports.clash("0.0.0.0", "::1")


# Listens, tells where, and opens and closes files all the time.
BUSY = """
import os, socket, sys
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    while True:
        for number in [os.open("/dev/null", os.O_RDONLY) for _file in range(200)]:
            os.close(number)
"""


def test_who_opens_and_closes_all_the_time_is_found_every_time():
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None
            port = plan.port("127.0.0.1", int(busy.stdout.readline()), "here")
            assert {pid for _time in range(50) for pid, _name, _unit in ports.holders({ports.listeners([port])[0][2]}).values()} == {
                busy.pid
            }
            assert all(f"(process {busy.pid}" in text for _time in range(50) for text in ports.taken([port], ()))
        finally:
            busy.kill()


def test_addresses_of_both_families(tmp_path):
    table = tmp_path / "tcp6"
    rows = ["00000000000000000000000001000000:1538", "0000000000000000FFFF00000100007F:1539", "0100007F:153A", "0100007F:153B"]
    table.write_text("header\n" + "".join(f"0: {row} 0:0 0A 0:0 0:0 0 {100 + i} 0 7{i}\n" for i, row in enumerate(rows)))
    wanted = [plan.port("::", number, "here") for number in (5432, 5433, 5434)]
    assert ports.listeners(wanted, {"tcp": [str(table), "/nowhere"]}) == [
        ("::1", 5432, "70", 100, "tcp"),
        ("127.0.0.1", 5433, "71", 101, "tcp"),
        ("127.0.0.1", 5434, "72", 102, "tcp"),
    ]


def test_whose_ports_are_whose():
    """A socket is told by its user; one that is not there is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        wanted = [plan.port("127.0.0.1", number, "here")]
        assert not ports.used_by_others([(wanted[0], {os.getuid()})])
        assert ports.used_by_others([(wanted[0], {os.getuid() + 1})])
        assert not ports.used_by_others([(plan.port("127.0.0.2", number, "here"), set())])
        assert ports.without_listener(wanted) == []
        (text,) = ports.taken(wanted, set())
        assert text.startswith(f"here: port {number} on 127.0.0.1 is taken by py")
    assert ports.without_listener(wanted) == wanted
    assert not ports.used_by_others([(wanted[0], set())])
    assert not ports.used_by_others([])


def test_a_process_cannot_write_to_the_operators_terminal_by_its_name():
    comm = pathlib.Path(f"/proc/{os.getpid()}/comm")
    before = comm.read_text()
    with socket.create_server(("127.0.0.1", 0)) as server:
        comm.write_text("\x1b]0;pwn\x07\nx")
        try:
            (text,) = ports.taken([plan.port("127.0.0.1", server.getsockname()[1], "here")], set())
        finally:
            comm.write_text(before)
    assert text.isprintable()


def test_an_address_that_is_not_the_robots():
    wanted = [plan.port(address, 80, address) for address in ("127.0.0.1", "0.0.0.0", "192.0.2.9")]
    assert ports.not_local(wanted) == ["192.0.2.9: 192.0.2.9 is not an address of this robot"]


def test_an_address_that_is_not_the_robots_is_told_at_its_own_key():
    wanted = plan.port("192.0.2.9", 1, "ports[0].static", addressed="ports[0].hostIP")
    assert ports.not_local([wanted]) == ["ports[0].hostIP: 192.0.2.9 is not an address of this robot"]


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_what_began_to_listen_while_it_was_looked_for_is_no_end_of_a_connection(kind, monkeypatch):
    """The look for listeners comes just before, and the one for whatever else keeps a listener out just after it."""
    monkeypatch.setattr(ports, "_clashes", lambda _wanted: [])
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        wanted = [plan.port("127.0.0.1", server.getsockname()[1], "here", protocol="tcp" if kind == socket.SOCK_STREAM else "udp")]
        (text,) = ports.taken(wanted, ())
        holder = next(iter(ports.holders([row[2] for row in ports.listeners(wanted)]).values()))
        assert "is taken by" in text
        assert "end of a connection" not in text
        assert ports.taken(wanted, (holder[2],), own_ends=False) == []


@contextlib.contextmanager
def connection():
    """A connection of this process to itself: both ends."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        accepted, _address = server.accept()
        with accepted:
            yield client, accepted


def _inode(end):
    return str(os.fstat(end.fileno()).st_ino)


def test_a_port_that_is_the_end_of_a_connection_is_taken_until_it_is_closed():
    """Nobody listens there, and nobody can."""
    with connection() as (client, accepted):
        number = client.getsockname()[1]
        wanted = [plan.port(address, number, "here") for address in ("127.0.0.1", "0.0.0.0", "::")]
        assert ports.without_listener(wanted) == wanted
        assert not ports.used_by_others([(port, set()) for port in wanted])
        texts = ports.taken(wanted, set())
        assert [text.split(" is taken by py")[0] for text in texts] == [f"here: port {number} on {port['address']}" for port in wanted]
        end = f", as its end of a connection to 127.0.0.1:{accepted.getsockname()[1]}; choose another port, or stop that program"
        assert all(text.endswith(end) for text in texts)
        (own,) = {unit for _pid, _command, unit in ports.holders([_inode(client)]).values()}
        assert ports.taken(wanted[:1], (own,)) == []
        assert ports.taken(wanted[:1], (own,), own_ends=False) == texts[:1]
        assert ports.taken([plan.port("127.0.0.2", number, "here")], set()) == []
        # It closes first, so its end lingers.
        client.close()
    (text,) = ports.taken(wanted[:1], set())
    assert text.startswith(f"here: port {number} on 127.0.0.1 is still held by a connection that has just closed")


def test_the_ends_of_connections_to_a_former_listener_keep_nobody_out():
    """A proxy that is started again has its port back while its callers' connections linger."""
    with connection() as (_client, accepted):
        number = accepted.getsockname()[1]
        accepted.close()
    assert ports.taken([plan.port("127.0.0.1", number, "here")], set()) == []


RUNNING = {"ActiveState": "active", "ActiveEnterTimestampMonotonic": "1"}


@pytest.mark.parametrize(
    ("shown", "mended"),
    [
        (RUNNING, True),
        ({**RUNNING, "ActiveEnterTimestampMonotonic": str(2**62)}, False),
        ({**RUNNING, "ActiveState": "activating"}, False),
        ({}, False),
    ],
    ids=["it has been up for long", "it has just come up", "it comes up", "there is no such unit"],
)
def test_a_unit_that_runs_without_listening_where_it_should(shown, mended):
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = [plan.port("127.0.0.1", server.getsockname()[1], "here", "a.service"), plan.port("::1", 1, "there")]
        assert silent.units(wanted, {"a.service": shown}) == {}
    why = f"nobody listens on port {wanted[0]['port']} of 127.0.0.1"
    assert silent.units(wanted, {"a.service": shown}) == ({"a.service": why} if mended else {})


def test_ports_of_former_plans_name_no_unit():
    former = {"address": "127.0.0.1", "port": 1, "where": "here"}
    assert silent.units([former], {"a.service": RUNNING}) == {}


@pytest.mark.parametrize(("address", "found"), [("127.0.0.1", True), ("::", True), ("127.0.0.2", False)])
def test_a_port_of_udp_is_taken_by_whoever_has_it(address, found):
    """The same number of TCP is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        number = server.getsockname()[1]
        wanted = [plan.port(address, number, "here", protocol="udp")]
        texts = ports.taken(wanted, set())
        assert [text.startswith(f"here: UDP port {number} on 127.0.0.1 is taken by py") for text in texts] == [True] * found
        assert ports.used_by_others([(wanted[0], set())]) is found
        assert not ports.used_by_others([(wanted[0], {os.getuid()})])
        other = plan.port(address, number, "there")
        assert ports.taken([other], set()) == []
        assert ports.taken([*wanted, other], set()) == texts
        assert ports.used_by_others([(wanted[0], {os.getuid()}), (other, set())]) is False
    assert ports.taken(wanted, set()) == []


def test_on_a_port_of_a_task_nobody_has_to_listen():
    wanted = [plan.port("127.0.0.1", 1, "here", called="r0 http")]
    assert ports.without_listener(wanted) == []


def test_what_a_tasks_own_connections_have_left_on_its_port_keeps_it_from_nothing():
    """A program that does not set SO_REUSEADDR waits for them; that is between it and its restartPolicy."""
    with connection() as (client, _accepted):
        wanted = [plan.port("127.0.0.1", client.getsockname()[1], "here", called="r0 http")]
        assert ports.taken(wanted, set(), kept=wanted) != []
        client.close()
    assert ports.taken(wanted, set()) != []
    assert ports.taken(wanted, set(), kept=wanted) == []


@pytest.mark.parametrize(("unit", "taken"), [("docker.service", 0), ("k8s4r-task-other.service", 1)])
def test_docker_has_a_containers_port_and_no_task_has_it_by_that_name(monkeypatch, unit, taken):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = plan.port("127.0.0.1", server.getsockname()[1], "x", called="r0 web")
        monkeypatch.setattr(ports, "holders", lambda inodes: dict.fromkeys(inodes, (7, "docker-proxy", unit)))
        assert len(ports.taken([port], (), [port])) == taken
        # Before it has been the group's, it is somebody else's container.
        assert len(ports.taken([port], (), [])) == 1


@pytest.mark.parametrize(("keeps", "taken"), [(False, 0), (True, 1)])
def test_a_containers_port_goes_to_the_group_to_which_another_one_gives_it_up(monkeypatch, keeps, taken):
    """No unit of the one that has it listens there: Docker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = plan.port("127.0.0.1", server.getsockname()[1], "x", called="r0 web")
        giver = {"id": "a", "resources": [], "ports": [port] if keeps else []}
        taker = {"id": "b", "resources": [], "ports": [port]}
        records = {"a": {"resources": [], "ports": [port]}}
        robot = types.SimpleNamespace(
            ledger=types.SimpleNamespace(group=lambda _job, known: records.get(known)), journal=lambda: None, manifest=lambda _release: None
        )
        monkeypatch.setattr(ports, "holders", lambda inodes: dict.fromkeys(inodes, (7, "docker-proxy", "docker.service")))
        found = live.Live(robot, {"jobs": [{"namespace": "n", "name": "j", "groups": [giver, taker]}]})
        assert len(found.taken(taker, [port])) == taken
