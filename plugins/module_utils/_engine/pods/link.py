# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a pod, as the kernel has it: a namespace, and a link from there to the bridge of all pods.

Pods never speak to each other on the bridge: its ports are isolated, and a pod has nothing but its own address and the way to the robot.
So all that goes from one to another goes through the robot, and by the robot's rules.
"""

from __future__ import annotations

import os

from .. import plan
from ..system import command, files
from .files import gateway, link
from .guard import hardware
from .kernel import forwarding, settings
from .six import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod

INSIDE = "eth0"
# Of interfaces.
_DEVICES = "/sys/class/net"
# For `ip -batch`, which needs a file.
_BATCH, _BATCH_SIX = plan.POD_STATES + "/.batch", plan.POD_STATES + "/.batch6"
# linux/sched.h, sys/mount.h.
NEW_NETWORK = 0x40000000
_BIND, _RECURSIVE, _SHARED, _DETACH = 0x1000, 0x4000, 0x100000, 2
# Of a pod's network. Its ports are its own: its programs may have any.
_SETTINGS = {
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    "ipv4/ip_unprivileged_port_start": "0",
}
# Of IPv6, in order. A pod without it has not even an address of the link.
_NO_SIX = {f"ipv6/conf/{INSIDE}/disable_ipv6": "1"}
_SIX = {
    **{f"ipv6/conf/{INSIDE}/{name}": "0" for name in ("accept_ra", "autoconf", "accept_redirects", "accept_dad")},
    f"ipv6/conf/{INSIDE}/addr_gen_mode": "1",
    **{f"ipv6/conf/{device}/disable_ipv6": "0" for device in ("lo", INSIDE)},
}
# Where no route says more.
_MTU = 1500


def up(id: str, pod: Pod) -> None:
    """Set up a pod's network. Nothing runs in it yet."""
    mtu, own = _mtu(), f"{plan.NETWORKS}{id}"
    if not os.path.isdir(f"{_DEVICES}/{plan.BRIDGE}"):
        _ip([f"link add name {plan.BRIDGE} address {hardware(gateway(pod['range']))} mtu {mtu} type bridge", *_without_ipv6(plan.BRIDGE)])
        settings.configure({f"ipv6/conf/{plan.BRIDGE}/disable_ipv6": "1", f"ipv4/conf/{plan.BRIDGE}/send_redirects": "0"})
    lines = [f"addr replace {gateway(pod['range'])}/{pod['range'].partition('/')[2]} dev {plan.BRIDGE}", f"link set {plan.BRIDGE} up"]
    device = link(id)
    # What an end that was cut off has left may be of another address.
    _remove(device)
    _make_namespace(own)
    ends = f"address {hardware(pod['address'])} mtu {mtu} netns {os.path.basename(own)}"
    lines += [
        f"link add name {device} mtu {mtu} type veth peer name {INSIDE} {ends}",
        *_without_ipv6(device),
        f"link set dev {device} master {plan.BRIDGE}",
        f"link set dev {device} type bridge_slave isolated on",
        f"link set dev {device} up",
    ]
    _ip(lines)
    _within(own, pod)


def down(id: str) -> None:
    """Have nothing of it there; with the last pod goes what all of them need."""
    _remove(link(id))
    _unmount(f"{plan.NETWORKS}{id}")
    if os.path.isdir(f"{_DEVICES}/{plan.BRIDGE}") and not os.listdir(f"{_DEVICES}/{plan.BRIDGE}/brif"):
        _remove(plan.BRIDGE)
        forwarding.end()


def _within(own: str, pod: Pod) -> None:
    """The pod's end, and its ways: to the robot, and by the robot to everywhere else."""
    robot = gateway(pod["range"])
    lines = [
        "link set lo up",
        *_without_ipv6(INSIDE),
        f"addr replace {pod['address']}/32 dev {INSIDE}",
        f"link set {INSIDE} up",
        f"route replace {robot} dev {INSIDE} scope link src {pod['address']}",
        f"route replace default via {robot} dev {INSIDE} src {pod['address']}",
    ]
    _put(_BATCH, lines)
    six = _within_six(pod) if "range6" in pod and family.is_there() else []
    if six:
        _put(_BATCH_SIX, six)
    settings.in_child(lambda: _configure(own, bool(six)))


def _within_six(pod: Pod) -> list[str]:
    """The same of IPv6. Nobody is asked whether he has the address already, nor where the robot is."""
    mine, robot = family.spelt(family.number(pod["address6"])), family.SIX.gateway(pod["range6"])
    with open(f"{_DEVICES}/{plan.BRIDGE}/address", encoding="ascii") as stream:
        at = stream.read().strip()
    return [
        f"address replace {mine}/128 dev {INSIDE} nodad",
        f"neighbour replace {robot} lladdr {at} dev {INSIDE} nud permanent",
        f"route replace {robot} dev {INSIDE} src {mine}",
        f"route replace default via {robot} dev {INSIDE} src {mine}",
    ]


def _configure(own: str, six: bool) -> None:
    """In a child."""
    enter(own)
    for name, value in {**_SETTINGS, **(_SIX if six else _NO_SIX)}.items():
        settings.sysctl(name, value)
    command.need(["ip", "-batch", _BATCH])
    if six:
        command.need(["ip", "-6", "-batch", _BATCH_SIX])


def enter(own: str) -> None:
    """Be in the network namespace of this file from now on."""
    descriptor = os.open(own, os.O_RDONLY | os.O_CLOEXEC)
    try:
        settings.done(settings.LIBC.setns(descriptor, NEW_NETWORK))
    finally:
        os.close(descriptor)


def _make_namespace(own: str) -> None:
    """A new one, at this place, where `ip netns` finds it."""
    _unmount(own)
    _share(os.path.dirname(own))
    os.close(os.open(own, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))

    def make() -> None:
        settings.done(settings.LIBC.unshare(NEW_NETWORK))
        settings.done(settings.LIBC.mount(b"/proc/self/ns/net", own.encode(), b"none", _BIND, None))

    settings.in_child(make)


def _share(directory: str) -> None:
    """Others who have namespaces (`ip netns add`, Podman, plugins of CNI) mount this directory onto itself. If they come later, what is
    mounted in it is below that too, where nobody can unmount it, and no pod could ever be brought up there again.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        mounted = [line.split()[4] for line in stream]
    if not any(place == directory or place.startswith(f"{directory}/") for place in mounted):
        settings.done(settings.LIBC.mount(directory.encode(), directory.encode(), b"none", _BIND | _RECURSIVE, None))
        settings.done(settings.LIBC.mount(b"", directory.encode(), b"none", _SHARED | _RECURSIVE, None))


def _unmount(own: str) -> None:
    while _is_mounted(own):
        settings.done(settings.LIBC.umount2(own.encode(), _DETACH))
    files.remove(own)


def _is_mounted(own: str) -> bool:
    """Whether it is a namespace, and not the empty file that one is to be mounted on."""
    try:
        return os.stat(own).st_dev != os.stat(os.path.dirname(own)).st_dev
    except FileNotFoundError:
        return False


def _remove(device: str) -> None:
    if os.path.isdir(f"{_DEVICES}/{device}"):
        code, output = command.run(["ip", "link", "delete", device])
        # With its namespace, a link goes by itself.
        if code and os.path.isdir(f"{_DEVICES}/{device}"):
            raise command.failed(["ip", "link", "delete", device], code, output)


def _ip(lines: t.Sequence[str]) -> None:
    _put(_BATCH, lines)
    command.need(["ip", "-batch", _BATCH])


def _put(path: str, lines: t.Sequence[str]) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write("\n".join([*lines, ""]))


def _without_ipv6(device: str) -> list[str]:
    """Not even an address of the link: by it, a pod would reach what listens on all addresses of the robot."""
    return [f"link set dev {device} addrgenmode none"] if family.is_there() else []


def _mtu() -> int:
    """That of the interface by which the robot reaches everything else; proc(5), /proc/net/route."""
    try:
        with open("/proc/net/route", encoding="ascii") as stream:
            rows = [line.split() for line in stream][1:]
        ways = [row for row in rows if row[1] == row[7] == "00000000"]
        with open(f"{_DEVICES}/{min(ways, key=lambda row: int(row[6]))[0]}/mtu", encoding="ascii") as stream:
            return int(stream.read())
    except (OSError, ValueError, IndexError):
        return _MTU
