# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: another processor, or this one, emulated in software."""

from __future__ import annotations

import os
from pathlib import Path

from tests.robots.host import need
from tests.robots.virtual.power import Place

MEMORY = 2048
"""MiB. Resident are 1.3 GB."""

ACCELERATOR = os.environ.get("K8S4R_VM_ACCELERATOR", "tcg")
"""``kvm`` is much faster, but a guest can hang under it where the host is itself a guest; for amd64 alone."""

PROGRAM = {
    "amd64": (*("qemu-system-x86_64", "-machine", f"q35,accel={ACCELERATOR}", "-cpu", "host" if ACCELERATOR == "kvm" else "Nehalem"),),
    "arm64": ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
}
"""The program and its machine, by architecture; arm64's is the processor of a Raspberry Pi 4, amd64's one with all that Debian's
programs, Go's and Envoy ask for: what a later one has more costs its emulation, and each boot, more.
"""

KERNEL = ("root=/dev/vda", "rw", "quiet", "net.ifnames=0", "fsck.mode=skip")
"""The kernel itself repairs a file system after a power cut, from its journal."""
SPARED = (
    *("mitigations=off", "init_on_alloc=0", "hardened_usercopy=off", "randomize_kstack_offset=off", "nokaslr"),
    *("cryptomgr.notests", "random.trust_cpu=on", "audit=0", "nowatchdog", "no_timer_check"),
)
"""What a kernel does against attacks, and to try itself out: of an emulated one a fourth of a boot, and a third of all that follows."""

CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


class Qemu:
    """What runs a virtual machine's kernel."""

    def needs(self, arch: str) -> None:
        """Install it."""
        need(PROGRAM[arch][0])

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Nothing of the guest depends on it: Debian is made for QEMU's machines."""
        return {}

    def agent(self, place: Place) -> Path:
        """The socket that leads to the guest agent."""
        return place.sockets / f"{place.name}.agent"

    def named(self, place: Place) -> tuple[str, ...]:
        """Words in a row of the command line of its processes."""
        return ("-name", place.full_name)

    def of_fleet(self, fleet: str) -> tuple[str, ...]:
        """Words in a row of the command line of every machine of the fleet."""
        return ("-smbios", f"type=11,value=k8s4r.fleet={fleet}")

    def start(self, place: Place) -> list[str | Path]:
        """The command that starts it in the background.

        Its disk syncs nothing: what the guest wrote is with this machine's kernel, which no power cut of a robot reaches.
        """
        return [
            *(*PROGRAM[place.arch], *self.named(place), *self.of_fleet(place.fleet), "-smp", "2", "-m", str(MEMORY), "-display", "none"),
            *("-serial", f"file:{place.log}", "-kernel", place.directory / "vmlinuz"),
            *("-initrd", place.directory / "initrd.img", "-append", " ".join([*KERNEL, f"console={CONSOLE[place.arch]}", *SPARED])),
            *("-drive", f"file={place.disk},if=virtio,format=raw,cache=unsafe"),
            *("-netdev", f"tap,id=net,ifname={place.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={place.mac}"),
            *("-chardev", f"socket,id=agent,path={self.agent(place)},server=on,wait=off", "-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0", "-daemonize"),
        ]
