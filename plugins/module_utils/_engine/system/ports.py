# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listens on the robot's TCP ports, read from /proc."""

from __future__ import annotations

import os

from ..say.texts import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port

    # A listening socket: its address, port, inode and the user whose it is.
    Listener = tuple[str, int, str, int]


# The state of a listening socket in the kernel's table.
LISTEN = "0A"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
WILDCARDS = ("0.0.0.0", "::")


def listeners(numbers: t.Container[int], tables: t.Sequence[str] = TABLES) -> list[Listener]:
    """Every listening socket on one of these ports."""
    found = []
    for table in tables:
        try:
            with open(table, encoding="utf-8") as stream:
                rows = [line.split() for line in stream][1:]
        except FileNotFoundError:
            continue
        for row in rows:
            if row[3] == LISTEN:
                address, _colon, port = row[1].partition(":")
                if int(port, 16) in numbers:
                    found.append((_address(address), int(port, 16), row[9], int(row[7])))
    return found


def _clashes(wanted: t.Sequence[Port]) -> list[tuple[Port, str, str]]:
    """Every socket that listens where a wanted one would: the wanted port, the socket's address and inode."""
    return [
        (port, address, inode)
        for address, number, inode, _uid in listeners({port["port"] for port in wanted})
        for port in wanted
        if port["port"] == number and clash(port["address"], address)
    ]


def clash(first: str, second: str) -> bool:
    """Whether two addresses cannot both have one port."""
    return first == second or first in WILDCARDS or second in WILDCARDS


def taken(wanted: t.Sequence[Port], own_units: t.Container[str | None]) -> list[str]:
    """One text for each wanted port that a program listens on, except for the group's own units.

    ``wanted``: ports of a group plan (plan.py). ``own_units``: names of units.
    """
    clashes = _clashes(wanted)
    held = holders({inode for _port, _address, inode in clashes}) if clashes else {}
    # A program that listens on both 0.0.0.0 and :: is one answer.
    found: dict[tuple[str, int], str] = {}
    for port, address, inode in clashes:
        pid, command, unit = held.get(inode, (0, "an unknown process", None))
        if unit not in own_units:
            of_unit = f", unit {unit}" if unit else ""
            who = f"{command} (process {pid}{of_unit})" if pid else command
            text = f"{port['where']}: port {port['port']} on {address} is taken by {who}"
            found.setdefault((port["where"], pid), text)
    return list(found.values())


def listening_units(wanted: t.Sequence[Port]) -> set[str]:
    """The units whose programs listen on one of these ports."""
    inodes = {inode for _port, _address, inode in _clashes(wanted)}
    return {unit for _pid, _command, unit in holders(inodes).values() if unit} if inodes else set()


def used_by_others(owned: t.Sequence[tuple[Port, t.Container[int]]]) -> bool:
    """Whether a program of another user listens on one of these ports; cheaper than `taken`, which names it.

    ``owned``: (port of a group plan, ids of the users who may listen there).
    """
    held = listeners({port["port"] for port, _uids in owned}) if owned else []
    return any(
        number == port["port"] and uid not in uids and clash(port["address"], address)
        for port, uids in owned
        for address, number, _inode, uid in held
    )


def without_listener(wanted: t.Iterable[Port]) -> list[Port]:
    """The wanted ports on which nothing listens."""
    ports = list(wanted)
    used = [port for port, _address, _inode in _clashes(ports)]
    return [port for port in ports if port not in used]


def not_local(wanted: t.Iterable[Port]) -> list[str]:
    """One text for each wanted port whose address is none of this robot's."""
    return [f"{port['where']}: {port['address']} is not an address of this robot" for port in wanted if not _is_local(port["address"])]


def _is_local(address: str) -> bool:
    import errno
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        # A robot without IPv6 has no such address either.
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def holders(inodes: t.Iterable[str]) -> dict[str, tuple[int, str, str | None]]:
    """The processes that hold sockets: {inode: (pid, command, unit or None)}."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, tuple[int, str, str | None]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
        except OSError:
            # It ended while we looked.
            continue
        for link in links & wanted.keys():
            found.setdefault(wanted[link], (int(pid), _command(pid), _unit(pid)))
    return found


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    if len(words) == 1:
        return ".".join(map(str, words[0]))
    # Costs milliseconds, and an unchanged run comes by here.
    import socket

    address = socket.inet_ntop(socket.AF_INET6, b"".join(words))
    return address[len("::ffff:") :] if address.startswith("::ffff:") else address


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return harmless(stream.read().strip().replace("\n", " "))
    except OSError:
        return "?"


def _unit(pid: str) -> str | None:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return None
    parts = [part for line in lines for part in line.rsplit(":", 1)[-1].split("/") if part.endswith((".service", ".socket"))]
    return parts[-1] if parts else None
