# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a pod, as the kernel has it: a namespace, and a link from there to the bridge of all pods.

Pods never speak to each other on the bridge: its ports are isolated, and a pod has nothing but its own address and the way to the robot.
So all that goes from one to another goes through the robot, and by the robot's rules.
"""

from __future__ import annotations

import ctypes
import errno
import os

from .. import plan
from ..say.errors import CommandFailed
from ..system import command, files
from .files import gateway, link
from .guard import hardware

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod

INSIDE = "eth0"
# Of the network of who looks.
SETTINGS = "/proc/sys/net"
# Of interfaces.
_DEVICES = "/sys/class/net"
_FORWARDS = "/proc/sys/net/ipv4/ip_forward"
# Here is noted that the robot forwarded nothing before its first pod.
FORWARDED = plan.POD_STATES + "/.forwarding"
# For `ip -batch`, which needs a file.
_BATCH = plan.POD_STATES + "/.batch"
# linux/sched.h, sys/mount.h.
NEW_NETWORK, _NEW_MOUNTS = 0x40000000, 0x00020000
_BIND, _RECURSIVE, _SHARED, _ALL_PRIVATE, _DETACH = 0x1000, 0x4000, 0x100000, 0x44000, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
# Of a pod's network. Its ports are its own: its programs may have any.
_SETTINGS = {
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    "ipv4/ip_unprivileged_port_start": "0",
    f"ipv6/conf/{INSIDE}/disable_ipv6": "1",
}
# Where no route says more.
_MTU = 1500
_IPV6 = "/proc/net/if_inet6"


def up(id: str, pod: Pod) -> None:
    """Set up a pod's network. Nothing runs in it yet."""
    mtu, own = _mtu(), f"{plan.NETWORKS}{id}"
    if not os.path.isdir(f"{_DEVICES}/{plan.BRIDGE}"):
        _ip([f"link add name {plan.BRIDGE} address {hardware(gateway(pod['range']))} mtu {mtu} type bridge", *_without_ipv6(plan.BRIDGE)])
        configure({f"ipv6/conf/{plan.BRIDGE}/disable_ipv6": "1", f"ipv4/conf/{plan.BRIDGE}/send_redirects": "0"})
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
    _forward()


def down(id: str) -> None:
    """Have nothing of it there; with the last pod goes what all of them need."""
    _remove(link(id))
    _unmount(f"{plan.NETWORKS}{id}")
    if os.path.isdir(f"{_DEVICES}/{plan.BRIDGE}") and not os.listdir(f"{_DEVICES}/{plan.BRIDGE}/brif"):
        _remove(plan.BRIDGE)
        _forward_no_more()


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
    with open(_BATCH, "w", encoding="ascii") as stream:
        stream.write("\n".join([*lines, ""]))
    _in_child(lambda: _configure(own))


def _configure(own: str) -> None:
    """In a child."""
    enter(own)
    for name, value in _SETTINGS.items():
        _sysctl(name, value)
    command.need(["ip", "-batch", _BATCH])


def enter(own: str) -> None:
    """Be in the network namespace of this file from now on."""
    descriptor = os.open(own, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _done(_LIBC.setns(descriptor, NEW_NETWORK))
    finally:
        os.close(descriptor)


def _make_namespace(own: str) -> None:
    """A new one, at this place, where `ip netns` finds it."""
    _unmount(own)
    _share(os.path.dirname(own))
    os.close(os.open(own, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))

    def make() -> None:
        _done(_LIBC.unshare(NEW_NETWORK))
        _done(_LIBC.mount(b"/proc/self/ns/net", own.encode(), b"none", _BIND, None))

    _in_child(make)


def _share(directory: str) -> None:
    """Others who have namespaces (`ip netns add`, Podman, plugins of CNI) mount this directory onto itself. If they come later, what is
    mounted in it is below that too, where nobody can unmount it, and no pod could ever be brought up there again.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        mounted = [line.split()[4] for line in stream]
    if not any(place == directory or place.startswith(f"{directory}/") for place in mounted):
        _done(_LIBC.mount(directory.encode(), directory.encode(), b"none", _BIND | _RECURSIVE, None))
        _done(_LIBC.mount(b"", directory.encode(), b"none", _SHARED | _RECURSIVE, None))


def _unmount(own: str) -> None:
    while _is_mounted(own):
        _done(_LIBC.umount2(own.encode(), _DETACH))
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
    with open(_BATCH, "w", encoding="ascii") as stream:
        stream.write("\n".join([*lines, ""]))
    command.need(["ip", "-batch", _BATCH])


def _in_child(work: t.Callable[[], None]) -> None:
    """Do something in a process of its own, whose namespaces go with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        except (OSError, CommandFailed) as error:
            os.write(writer, str(error).encode("utf-8", "replace")[:4000])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    if os.waitpid(pid, 0)[1]:
        raise CommandFailed(said or "the network of the pod could not be set up")


def _without_ipv6(device: str) -> list[str]:
    """Not even an address of the link: by it, a pod would reach what listens on all addresses of the robot."""
    return [f"link set dev {device} addrgenmode none"] if os.path.exists(_IPV6) else []


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


def _forward() -> None:
    """Packets of pods are forwarded by the robot. Where it did so for nobody before, that is noted."""
    with open(_FORWARDS, encoding="ascii") as stream:
        if stream.read().strip() != "0":
            return
    files.replace(FORWARDED, b"")
    configure({"ipv4/ip_forward": "1"})


def _forward_no_more() -> None:
    """But where others have come who need it: whoever else has a bridge."""
    if os.path.exists(FORWARDED):
        files.remove(FORWARDED)
        if not any(os.path.isdir(f"{_DEVICES}/{device}/bridge") for device in os.listdir(_DEVICES)):
            configure({"ipv4/ip_forward": "0"})


def configure(settings: t.Mapping[str, str]) -> None:
    """Have settings of the robot's own network."""

    def work() -> None:
        for name, value in settings.items():
            _sysctl(name, value)

    _in_child(work)


def _sysctl(name: str, value: str) -> None:
    """In a child: /proc/sys/net is that of the network in which a process is. Where it is read-only, as in most containers, it is mounted
    anew. A kernel without IPv6 has nothing of some names.
    """
    path = f"{SETTINGS}/{name}"
    try:
        _write(path, value)
    except OSError as error:
        if error.errno == errno.EROFS:
            _done(_LIBC.unshare(_NEW_MOUNTS))
            _done(_LIBC.mount(b"none", b"/", None, _ALL_PRIVATE, None))
            _done(_LIBC.mount(b"proc", b"/proc", b"proc", 0, None))
            _write(path, value)
        elif error.errno != errno.ENOENT:
            raise


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
