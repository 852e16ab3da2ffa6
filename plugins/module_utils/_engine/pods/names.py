# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod's programs see as /etc/hosts and /etc/resolv.conf.

Both are written in place: the units of a pod have them mounted, and a mount holds the file that it was made of.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from .. import plan
from ..system import files as disk
from . import files
from .kernel import forwarding
from .six import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod

# Where those who answer at the robot's own loopback write which servers they ask: systemd-resolved, NetworkManager with dnsmasq.
_REAL = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
ROBOTS = "/etc/resolv.conf"
# Of a robot that says nothing of it, or names nobody whom a pod can reach.
_NOBODY = "# k8s4r: this robot names no server that a pod can reach\n"


def hosts(pod: Pod, robot: str) -> str:
    """The text of /etc/hosts. ``robot``: its own name."""
    named: dict[str, list[str]] = {pod["address"]: [pod["name"]], files.gateway(pod["range"]): []}
    for name, address in sorted(pod["hosts"].items()):
        if name not in named.setdefault(address, []):
            named[address].append(name)
    if robot != "localhost" and not any(robot in names for names in named.values()):
        named[files.gateway(pod["range"])].append(robot)
    if "range6" in pod:
        # Both have the same names at their IPv6 addresses.
        for four, six in ((pod["address"], pod["address6"]), (files.gateway(pod["range"]), family.SIX.gateway(pod["range6"]))):
            named.setdefault(six, []).extend(name for name in named[four] if name not in named[six])
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "".join(f"{line}\n" for line in [*lines, *(f"{address} {' '.join(names)}" for address, names in named.items() if names)])


def resolution(pod: Pod, robots: str, real: t.Iterable[str] = ()) -> str:
    """The text of /etc/resolv.conf. ``robots``: that of the robot; ``real``: those to look in, one after the other, where that names none
    but its own loopback. A DNS server of the robot's own asks all of them. What the job says wins.
    """
    servers, searches = pod["dns"]["servers"], pod["dns"]["searches"]
    if not servers and pod["dns"].get("domain"):
        servers = [files.gateway(pod["range"])]
    texts = [robots, *real]
    six = "range6" in pod
    found = servers or next((reached for reached in (_servers(text, six) for text in texts) if reached), [])
    looked_in = [f"search {' '.join(searches)}"] if searches else _kept(robots, ("search", "domain"))
    lines = [*(f"nameserver {server}" for server in found), *looked_in, *_kept(robots, ("options",))]
    return ("" if found else _NOBODY) + "".join(f"{line}\n" for line in lines)


def write(id: str, pod: Pod, directory: str = plan.POD_STATES) -> None:
    """Have both files of a pod as they should be."""
    home = f"{directory}/{id}"
    os.makedirs(home, mode=0o755, exist_ok=True)
    real = (_text(path) for path in _REAL)
    _put(f"{home}/hosts", hosts(pod, os.uname().nodename))
    _put(f"{home}/resolv.conf", resolution(pod, _text(ROBOTS), real))


@contextlib.contextmanager
def locked(directory: str = plan.POD_STATES) -> t.Iterator[None]:
    """Whoever changes what there is of pods does so alone."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    lock = os.open(f"{directory}/.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # An older engine has made it so that anybody could hold it.
        os.fchmod(lock, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def refresh(directory: str = plan.POD_STATES) -> None:
    """Bring the files of every pod that is up up to date: the job's names change, and the robot's name servers do when it moves to
    another network. Without pods, their directories are removed.
    """
    if os.path.isdir(directory):
        with locked(directory):
            _refresh(directory)


def _refresh(directory: str) -> None:
    described = files.described()
    for id, pod in described.items():
        if os.path.exists(f"{directory}/{id}/hosts"):
            write(id, pod, directory)
    if not files.any_there() and os.path.isdir(directory):
        # What is noted there of forwarding is still true where others need it.
        if not forwarding.left():
            disk.remove(directory)
        with contextlib.suppress(OSError):
            os.rmdir(plan.PODS)


def _servers(text: str, six: bool) -> list[str]:
    """The name servers that a pod can reach: not those at the robot's loopback or on one link, and of IPv6 only if the pod has that."""
    words = [line.split() for line in text.splitlines()]
    named = [row[1] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return [server for server in named if (_is_reached_six(server) and six if ":" in server else _is_reached(server))]


def _is_reached(server: str) -> bool:
    return not server.startswith("127.") and server != "0.0.0.0"


def _is_reached_six(server: str) -> bool:
    """That of a link may have its name behind it: fe80::1%eth0."""
    return not server.startswith("::") and not server.lower().startswith("fe8")


def _kept(text: str, keys: t.Container[str]) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.split()[:1] and line.split()[0] in keys]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _put(path: str, text: str) -> None:
    content = text.encode("utf-8")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(descriptor, 0o644)
        if os.pread(descriptor, len(content) + 1, 0) != content:
            # Whoever reads it meanwhile finds all of one of the two, or the beginning of the longer one.
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
