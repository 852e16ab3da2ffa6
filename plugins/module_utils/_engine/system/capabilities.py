# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this robot can do, as text by name: what the compiler assumes about it and what constraints look at."""

from __future__ import annotations

import os
import sys

from ..plan import STATE
from ..say.disk import MOUNTS
from ..say.errors import CommandFailed
from . import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# In /bin with and without a merged /usr; a Debian 11 that was once a Debian 10 has it there alone.
SYSTEMCTL = "/bin/systemctl"


def probe(runtime: str) -> dict[str, str]:
    """All capabilities: {name: text}."""
    kernel = os.uname()
    release = _os_release()
    version = 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1
    controllers = _controllers(version)
    return {
        "systemd": systemd_version(runtime),
        "cgroup": str(version),
        "cgroup.memory": "yes" if "memory" in controllers else "no",
        "arch": ARCHITECTURES.get(kernel.machine, kernel.machine),
        "cpu.arch": ARCHITECTURES.get(kernel.machine, kernel.machine),
        "cpu.numcores": str(os.cpu_count() or 1),
        "memory.totalbytes": str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
        "realtime": "yes" if _realtime() else "no",
        "users": "yes" if _users() else "no",
        # What may write beyond a quota differs by the file system.
        "disk.quota": quota_device(STATE)[0] or "no",
        # A kernel that was booted with ipv6.disable=1 has no such file.
        "ipv6": "yes" if os.path.exists("/proc/net/if_inet6") else "no",
        "kernel.name": kernel.sysname.lower(),
        "kernel.version": kernel.release,
        "os.name": release.get("ID", "linux"),
        "os.version": release.get("VERSION_ID", ""),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "unique.hostname": kernel.nodename,
    }


def _realtime() -> bool:
    """Whether processes get real-time scheduling: many containers and kernels refuse it to control groups, even to root."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True


def _users() -> bool:
    """Whether root may make user namespaces. A kernel that was built without them has no such file."""
    try:
        with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as stream:
            return int(stream.read()) > 0
    except FileNotFoundError:
        return False


def quota_device(directory: str) -> tuple[str, str]:
    """The type, and the device, of the file system of a directory that may not be there yet; empty where that enforces no quotas of
    projects.

    Its mount options tell, in the words of ext4 and XFS: asking the kernel itself costs more than all else that is asked here.
    """
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    number = os.stat(directory).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    # proc(5): the third field is the device; the last three are the type, the source, and the options of the file system itself.
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
        rows = [line.split() for line in stream if f" {device} " in line]
    types = [row[-3] for row in rows if row[2] == device and "prjquota" in row[-1].split(",")]
    if not types:
        return "", ""
    try:
        with open(f"/sys/dev/block/{device}/uevent", encoding="utf-8") as stream:
            names = [line[len("DEVNAME=") :].strip() for line in stream if line.startswith("DEVNAME=")]
        path = f"/dev/{names[0]}"
        # In a container, the device may be out of reach.
        return (types[0], path) if os.stat(path).st_rdev == number else ("", "")
    except (OSError, IndexError):
        return "", ""


def differ(assumptions: t.Mapping[str, str], truth: t.Mapping[str, str]) -> list[str]:
    """The assumptions that do not hold, and what an older engine did not report. Who assumes nothing is never wrong."""
    return sorted(name for name in {*assumptions, *truth} if assumptions and truth.get(name) != assumptions.get(name))


def systemd_version(runtime: str) -> str:
    """The major version. Asking systemctl costs 5 ms, so the answer is kept until systemctl itself is replaced."""
    try:
        with open(runtime + "/systemd-version", encoding="utf-8") as stream:
            kept_stamp, version = stream.read().split()
        if kept_stamp == _stamp() and version.isdigit():
            return version
    except (FileNotFoundError, ValueError):
        pass
    return _major(command.need([SYSTEMCTL, "--version"]))


def _stamp() -> str:
    """Another one whenever systemctl is replaced."""
    found = os.stat(SYSTEMCTL)
    return f"{found.st_ino}.{found.st_mtime_ns}"


def _major(said: str) -> str:
    """The number in "systemd 257~rc1 (257~rc1-2)"; raises `CommandFailed` where there is none."""
    import re

    from ..say.texts import harmless

    # What the loader of programs may say goes before it.
    found = re.search(r"^systemd (\d+)", said, re.MULTILINE)
    if found is None:
        raise CommandFailed(f"{SYSTEMCTL} --version prints no version: {harmless(said.strip()[:200])}")
    return found.group(1)


def keep_systemd_version(runtime: str) -> None:
    from . import files

    line = f"{_stamp()} {systemd_version(runtime)}"
    files.replace(runtime + "/systemd-version", line.encode("ascii"))


def _os_release() -> dict[str, str]:
    try:
        with open("/etc/os-release", encoding="utf-8") as stream:
            pairs = [line.strip().partition("=") for line in stream]
    except FileNotFoundError:
        return {}
    return {name: value.strip("\"'") for name, _equals, value in pairs if value}


def _controllers(version: int) -> list[str]:
    if version == 2:
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="utf-8") as stream:
            return stream.read().split()
    try:
        with open("/proc/cgroups", encoding="utf-8") as stream:
            rows = [line.split() for line in stream if not line.startswith("#")]
    except FileNotFoundError:
        return []
    return [name for name, _hierarchy, _count, enabled in rows if enabled == "1"]
