# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User-mode Linux: the robot's kernel is a program of this machine, and the robot's programs run on its processor as they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.robots.host import RobotsError, cache_dir, lock, need, run
from tests.robots.virtual.power import Place

PROGRAM = "linux.uml"
REGISTERS = Path(__file__).with_name("registers.c")
MEMORY = 1024
"""MiB, of which only what is used is taken."""

MODULES = "/usr/lib/uml/modules"
"""Where Debian's package has them on this machine."""
DISK = "/dev/ubda"
KERNEL = ("rw", "quiet", "selinux=0", "audit=0", "fsck.mode=skip", "noreboot", "con=null", "con0=null,fd:1", "ssl0=null")
"""The kernel's words go to its standard output. Where it began anew by itself, the old one would still hold its network cable."""

AGENT = """[Service]
ExecStart=/usr/sbin/qemu-ga --method=isa-serial --path=/dev/ttyS1
"""
PIPES = ("to", "from")


class UserModeLinux:
    """What runs a virtual machine's kernel."""

    def needs(self, arch: str) -> None:
        """Install it."""
        if arch != "amd64":
            raise RobotsError(f"User-mode Linux has this machine's processor; a robot with another, {arch}, is of QEMU (KIND=vm)")
        need(PROGRAM, "gcc", "libc6-dev")

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Its disk has another name, the kernel's modules are on this machine, and the guest agent is reached over a serial line."""
        mounts = f"{DISK} / ext4 defaults 0 1\nnone /usr/lib/modules hostfs ro,{MODULES} 0 0\n"
        return {
            "etc/fstab": (0o644, mounts.encode()),
            "etc/systemd/system/agent.service": (0o644, AGENT.encode()),
            "etc/systemd/system/multi-user.target.d/agent.conf": (0o644, b"[Unit]\nWants=agent.service\n"),
        }

    def agent(self, place: Place) -> Path:
        """The directory with the pipes that lead to the guest agent and back."""
        return place.directory / "agent"

    def named(self, place: Place) -> tuple[str, ...]:
        """A word of the command line of all its processes: of the kernel, and of each program that it runs."""
        return (f"umid={place.full_name}",)

    def of_fleet(self, fleet: str) -> tuple[str, ...]:
        """A word of the command line of every machine of the fleet."""
        return (f"k8s4r.fleet={fleet}",)

    def start(self, place: Place) -> list[str | Path]:
        """The command that starts it in the background.

        It opens both ends of each pipe itself, so that neither is ever closed, whoever comes and goes.
        """
        pipes = [self.agent(place) / each for each in PIPES]
        self.agent(place).mkdir(exist_ok=True)
        for pipe in pipes:
            if not pipe.exists():
                os.mkfifo(pipe)
        kernel = [
            *(*self.named(place), *self.of_fleet(place.fleet), f"uml_dir={place.sockets}/", f"mem={MEMORY}M"),
            *(f"ubda={place.disk}", f"root={DISK}", "ssl1=fd:8,fd:9", *KERNEL),
            f"vec0:transport=tap,ifname={place.tap},mac={place.mac},depth=64,gro=1",
        ]
        into = 'exec 8<>"$1" 9<>"$2" >>"$3" 2>&1; shift 3; exec "$@"'
        return ["setsid", "--fork", "sh", "-c", into, "sh", *pipes, place.log, "env", f"LD_PRELOAD={registers()}", PROGRAM, *kernel]


def registers() -> Path:
    """The library without which it does not run on every processor; its source says why. Compiled once for a machine."""
    made = cache_dir("uml", hashlib.sha256(REGISTERS.read_bytes()).hexdigest()[:12]) / "registers.so"
    with lock("uml"):
        if not made.exists():
            part = made.with_suffix(".part")
            run("gcc", "-O2", "-shared", "-fPIC", "-o", part, REGISTERS)
            part.rename(made)
    return made
