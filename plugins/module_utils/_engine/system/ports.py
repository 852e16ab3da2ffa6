# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on the robot's TCP ports, read from /proc."""

from __future__ import annotations

import os

from ..say.texts import harmless

LISTEN = "0A"
WILDCARDS = ("0.0.0.0", "::")


def listeners(numbers, tables=("/proc/net/tcp", "/proc/net/tcp6")):
    """Every listening socket on one of these ports: (address, port, inode, user id)."""
    found = []
    for table in tables:
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except FileNotFoundError:
            continue
        for row in rows:
            if row[3] == LISTEN:
                address, _colon, port = row[1].partition(":")
                if int(port, 16) in numbers:
                    found.append((_address(address), int(port, 16), row[9], int(row[7])))
    return found


def _clashes(wanted):
    """(wanted port, address, inode, user id) of every socket that stands where a wanted one does."""
    return [
        (port, address, inode, uid)
        for address, number, inode, uid in listeners({port["port"] for port in wanted})
        for port in wanted
        if port["port"] == number and clash(port["address"], address)
    ]


def clash(first, second):
    """Whether two addresses cannot both have one port."""
    return first == second or first in WILDCARDS or second in WILDCARDS


def taken(wanted, own_units):
    """One text for each wanted port that somebody listens on, but for units of one's own.

    ``wanted``: ports of a group plan (plan.py). ``own_units``: names of units.
    """
    clashes = _clashes(wanted)
    held = holders({inode for _port, _address, inode, _uid in clashes}) if clashes else {}
    # A program that listens on both 0.0.0.0 and :: is one answer.
    found = {}
    for port, address, inode, _uid in clashes:
        pid, command, unit = held.get(inode, (0, "an unknown process", None))
        if unit not in own_units:
            who = "{} (process {}{})".format(command, pid, f", unit {unit}" if unit else "") if pid else command
            text = "{}: port {} on {} is taken by {}".format(port["where"], port["port"], address, who)
            found.setdefault((port["where"], pid), text)
    return list(found.values())


def foreign(owned):
    """Whether anybody listens where a port of somebody else is; cheaper than `taken`, which says who.

    ``owned``: (port of a group plan, ids of the users who may listen there).
    """
    held = listeners({port["port"] for port, _uids in owned}) if owned else []
    return any(
        number == port["port"] and uid not in uids and clash(port["address"], address)
        for port, uids in owned
        for address, number, _inode, uid in held
    )


def silent(wanted):
    """The wanted ports on which nobody listens."""
    heard = [port for port, _address, _inode, _uid in _clashes(wanted)]
    return [port for port in wanted if port not in heard]


def homeless(wanted):
    """One text for each wanted port whose address is none of this robot's."""
    return ["{}: {} is no address of this robot".format(port["where"], port["address"]) for port in wanted if not _local(port["address"])]


def _local(address):
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


def holders(inodes):
    """The processes that hold sockets: {inode: (pid, command, unit or None)}."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
        except OSError:
            # It ended while we looked.
            continue
        for link in links & wanted.keys():
            found.setdefault(wanted[link], (int(pid), _command(pid), _unit(pid)))
    return found


def _address(text):
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    if len(words) == 1:
        return ".".join(map(str, words[0]))
    # Costs milliseconds, and an unchanged run comes by here.
    import socket

    address = socket.inet_ntop(socket.AF_INET6, b"".join(words))
    return address[len("::ffff:") :] if address.startswith("::ffff:") else address


def _command(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return harmless(stream.read().strip().replace("\n", " "))
    except OSError:
        return "?"


def _unit(pid):
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return None
    parts = [part for line in lines for part in line.rsplit(":", 1)[-1].split("/") if part.endswith((".service", ".socket"))]
    return parts[-1] if parts else None
