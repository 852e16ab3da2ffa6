# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on ports, as the kernel tells it."""

from __future__ import annotations

import os
import pathlib
import socket

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import ports


def test_who_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        ((address, _port, inode, uid),) = ports.listeners({number})
        assert (address, uid) == ("127.0.0.1", os.getuid())
        pid, name, _unit = ports.holders({inode})[inode]
        assert pid == os.getpid()
        assert "py" in name
    assert ports.clash("0.0.0.0", "127.0.0.1")
    assert ports.clash("127.0.0.1", "::")
    assert not ports.clash("127.0.0.1", "10.0.0.1")


def test_addresses_of_both_families(tmp_path):
    table = tmp_path / "tcp6"
    rows = ["00000000000000000000000001000000:1538", "0000000000000000FFFF00000100007F:1539", "0100007F:153A", "0100007F:153B"]
    table.write_text("header\n" + "".join(f"0: {row} 0:0 0A 0:0 0:0 0 {100 + i} 0 7{i}\n" for i, row in enumerate(rows)))
    assert ports.listeners({5432, 5433, 5434}, [str(table), "/nowhere"]) == [
        ("::1", 5432, "70", 100),
        ("127.0.0.1", 5433, "71", 101),
        ("127.0.0.1", 5434, "72", 102),
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
