# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the robot's TCP and UDP ports, read from /proc."""

from __future__ import annotations

import os

from ..say.texts import harmless
from .own import unit_in_slice

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port

    # A socket that has a port for whoever comes: its address, port, inode, the user whose it is, and its protocol.
    Listener = tuple[str, int, str, int, str]
    # A wanted port that cannot be had: the port, and the address and inode of the socket that is in the way.
    Clash = tuple[Port, str, str]
    # Who has a socket: the process, what it runs, and its unit, if any.
    Holder = tuple[int, str, t.Optional[str]]


# Columns of the kernel's tables: the socket's own end, the other one, its state, whose it is, and by what a process refers to it.
_LOCAL, _REMOTE, _STATE, _USER, _INODE = 1, 2, 3, 7, 9
# States of sockets in these tables (include/net/tcp_states.h): one that listens, and one that its program has closed.
LISTEN, TIME_WAIT = "0A", "06"
TABLES = {"tcp": ("/proc/net/tcp", "/proc/net/tcp6"), "udp": ("/proc/net/udp", "/proc/net/udp6")}
PROTOCOLS = tuple(TABLES)
PUBLISHES = "docker-proxy"


def protocol(port: Port) -> str:
    """tcp or udp."""
    return port.get("protocol", "tcp")


def shown(port: Port) -> str:
    """What people call it."""
    return f"{'UDP ' if protocol(port) == 'udp' else ''}port {port['port']}"


def meet(first: Port, second: Port) -> bool:
    """Whether only one of two ports can be had."""
    return first["port"] == second["port"] and protocol(first) == protocol(second) and clash(first["address"], second["address"])


def listeners(wanted: t.Iterable[Port], tables: t.Mapping[str, t.Sequence[str]] | None = None) -> list[Listener]:
    """Every socket that listens on the number of one of these ports. One of UDP always does. ``tables``: by default the kernel's."""
    numbers: dict[str, set[int]] = {}
    for port in wanted:
        numbers.setdefault(protocol(port), set()).add(port["port"])
    return [
        (_address(row[_LOCAL]), _port(row[_LOCAL]), row[_INODE], int(row[_USER]), name)
        for name, known in numbers.items()
        for row in _rows(known, (tables or TABLES)[name])
        if _listens(row, name)
    ]


def _listens(row: list[str], of: str) -> bool:
    """Whether a row of the kernel's table of a protocol is a socket for whoever comes."""
    return of == "udp" or row[_STATE] == LISTEN


def tables(pid: str) -> dict[str, tuple[str, str]]:
    """The kernel's tables of the network in which a process is."""
    return {name: (f"/proc/{pid}/net/{name}", f"/proc/{pid}/net/{name}6") for name in PROTOCOLS}


def _rows(numbers: t.Collection[int], tables: t.Sequence[str]) -> t.Iterator[list[str]]:
    """The kernel's rows of the sockets whose own end is one of these ports."""
    # A table may have thousands of rows.
    for table in tables if numbers else ():
        try:
            with open(table, encoding="utf-8") as stream:
                rows = [line.split() for line in stream][1:]
        except FileNotFoundError:
            continue
        for row in rows:
            if _port(row[_LOCAL]) in numbers:
                yield row


def _clashes(wanted: t.Sequence[Port], held: t.Sequence[Listener] | None = None) -> list[Clash]:
    """Every socket that listens where a wanted one would: the wanted port, the socket's address and inode.

    ``held``: `listeners` of these ports, if known.
    """
    return [
        (port, address, inode)
        for address, number, inode, _uid, name in (listeners(wanted) if held is None else held)
        for port in wanted
        if port["port"] == number and protocol(port) == name and clash(port["address"], address)
    ]


def clash(first: str, second: str) -> bool:
    """Whether two addresses cannot both have one port. `::` is every address, of both families."""
    pair = (first, second)
    return first == second or "::" in pair or ("0.0.0.0" in pair and ":" not in first + second)


def taken(
    wanted: t.Sequence[Port],
    own_units: t.Container[str | None],
    kept: t.Container[Port] = (),
    own_ends: bool = True,
    remedy: str = "; choose another port, or stop that program",
) -> list[str]:
    """One text for each wanted port that a program has, except for the group's own units. Most listen there; the end of a
    connection to somewhere else keeps a listener out as well.

    ``wanted``: ports of a group plan (plan/). ``own_units``: names of units. ``kept``: those that the group's tasks have had already;
    what lingers there was theirs. ``own_ends``: whether the group's units may also have it as the end of a connection, as they may
    before they start again. ``remedy``: what each of the texts ends with.
    """
    clashes, held = _clashes_and_holders(wanted)
    if any(inode not in held for _port, _address, inode in clashes):
        # It was closed while we looked for who has it, as a proxy does that takes in another listener.
        clashes, held = _clashes_and_holders(wanted)
    # A program that listens on both 0.0.0.0 and :: is one answer.
    found: dict[tuple[str, int], str] = {}
    for port, address, inode in clashes:
        pid, command, unit = held.get(inode, (0, "an unknown process", None))
        # Docker listens in the place of a container. A task may call itself so, too.
        published = command == PUBLISHES and port in kept and not (unit or "").startswith("k8s4r-")
        if unit not in own_units and not published:
            text = f"{port['where']}: {shown(port)} on {address} is taken by {_who(pid, command, unit)}{remedy}"
            found.setdefault((port["where"], pid), text)
    listening = [port for port, _address, _inode in clashes]
    silent = [port for port in wanted if port not in listening]
    return list(found.values()) + _end_of_connections(silent, own_units, own_units if own_ends else (), kept, remedy)


def _clashes_and_holders(wanted: t.Sequence[Port]) -> tuple[list[Clash], dict[str, Holder]]:
    """What `_clashes` and `holders` say of them."""
    clashes = _clashes(wanted)
    return clashes, holders({inode for _port, _address, inode in clashes}) if clashes else {}


def taken_inside(wanted: t.Sequence[Port], pid: str, unit: str) -> list[str]:
    """The same for ports of the pod in which a process of a unit is: one text for each where another unit's program listens."""
    clashes = _clashes(wanted, listeners(wanted, tables(pid)))
    held = holders({inode for _port, _address, inode in clashes}) if clashes else {}
    found = []
    for port, address, inode in clashes:
        holder = held.get(inode)
        if holder and holder[2] != unit:
            found.append(f"{port['where']}: {shown(port)} on {address} in the pod is taken by {_who(*holder)}; choose another port there")
    return list(dict.fromkeys(found))


def listening_units(wanted: t.Sequence[Port]) -> set[str]:
    """The units whose programs listen on one of these ports."""
    inodes = {inode for _port, _address, inode in _clashes(wanted)}
    return {unit for _pid, _command, unit in holders(inodes).values() if unit} if inodes else set()


def _end_of_connections(
    wanted: t.Iterable[Port], own_units: t.Container[str | None], ends_of: t.Container[str | None], kept: t.Container[Port], remedy: str
) -> list[str]:
    """One text for each port that is the end of somebody's connection and cannot be had because of that.

    ``own_units`` may listen there, and the units ``ends_of`` may have that end.
    """
    found = []
    for port in wanted:
        if _is_free(port):
            continue
        rows = [row for row in _rows({port["port"]}, TABLES[protocol(port)]) if clash(_address(row[_LOCAL]), port["address"])]
        held = holders({row[_INODE] for row in rows})
        # A program may begin to listen after it was looked for.
        listening = {row[_INODE] for row in rows if _listens(row, protocol(port))}
        if any(inode in listening and holder[2] in own_units for inode, holder in held.items()):
            continue
        others = [(row, held[row[_INODE]]) for row in rows if row[_INODE] in held and held[row[_INODE]][2] not in ends_of]
        front = f"{port['where']}: {shown(port)} on {port['address']} is"
        if others:
            row, holder = others[0]
            end = "" if row[_INODE] in listening else f", as its end of a connection to {_address(row[_REMOTE])}:{_port(row[_REMOTE])}"
            found.append(f"{front} taken by {_who(*holder)}{end}{remedy}")
        elif port not in kept and any(row[_STATE] == TIME_WAIT for row in rows):
            found.append(f"{front} still held by a connection that has just closed; run again in a minute")
    return found


def _is_free(port: Port) -> bool:
    """Whether a listener could have the port: the kernel is asked in the way in which a proxy asks."""
    import errno
    import socket

    kind = socket.SOCK_DGRAM if protocol(port) == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ":" in port["address"] else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # With UDP, it would let two have one port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port["address"] == "::":
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind((port["address"], port["port"]))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _who(pid: int, command: str, unit: str | None) -> str:
    of_unit = f", unit {unit}" if unit else ""
    return f"{command} (process {pid}{of_unit})" if pid else command


def used_by_others(owned: t.Sequence[tuple[Port, t.Container[int]]], held: t.Sequence[Listener] | None = None) -> bool:
    """Whether a program of another user listens on one of these ports; cheaper than `taken`, which names it.

    ``owned``: (port of a group plan, ids of the users who may listen there). ``held``: `listeners` of these ports, if known.
    """
    if held is None:
        held = listeners([port for port, _uids in owned])
    return any(
        number == port["port"] and uid not in uids and protocol(port) == name and clash(port["address"], address)
        for port, uids in owned
        for address, number, _inode, uid, name in held
    )


def without_listener(wanted: t.Iterable[Port], held: t.Sequence[Listener] | None = None) -> list[Port]:
    """The wanted ports on which nothing listens, but for those of tasks, where nothing has to. ``held``: `listeners` of these ports,
    if known.
    """
    ports = [port for port in wanted if not port.get("called")]
    heard = [port for port, _address, _inode in _clashes(ports, held)]
    return [port for port in ports if port not in heard]


def not_local(wanted: t.Iterable[Port]) -> list[str]:
    """One text for each wanted port whose address is none of this robot's."""
    text = "{}: {} is not an address of this robot"
    return [text.format(port.get("addressed") or port["where"], port["address"]) for port in wanted if not _is_local(port["address"])]


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


def holders(inodes: t.Iterable[str]) -> dict[str, Holder]:
    """The processes that hold sockets, by inode."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, Holder] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for link in _open(pid) & wanted.keys():
            found.setdefault(wanted[link], (int(pid), _command(pid), _unit(pid)))
    return found


def _open(pid: str) -> set[str]:
    """What a process has open; nothing if it ended while we looked."""
    found: set[str] = set()
    try:
        entries = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return found
    for entry in entries:
        try:
            found.add(os.readlink(entry.path))
        except OSError:
            # It has closed this one, and has the others still. One that serves many does so all the time.
            continue
    return found


def _port(end: str) -> int:
    """The port of a socket's end as the kernel prints it."""
    return int(end.rpartition(":")[2], 16)


def _address(end: str) -> str:
    """The address of a socket's end as the kernel prints it: 32-bit words in the byte order of the machine."""
    text = end.partition(":")[0]
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
    known = [part for line in lines for part in line.rsplit(":", 1)[-1].split("/")]
    parts = [part for part in known if part.endswith((".service", ".socket"))]
    parts += filter(None, map(unit_in_slice, known))
    # Within one of ours there may be a system with units of its own.
    return next((part for part in parts if part.startswith("k8s4r-")), parts[-1] if parts else None)
