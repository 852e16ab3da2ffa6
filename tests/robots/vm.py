# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot as a virtual machine: its own kernel, cgroup v2, real reboots and power cuts. Under software emulation."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.robots import guest, image, mirror
from tests.robots.host import RobotsError, alive, need, processes, run, wait_for
from tests.robots.machine import Setup

MEMORY = 2048
"""MiB. Resident are 1.3 GB."""

ACCELERATOR = os.environ.get("K8S4R_VM_ACCELERATOR", "tcg")
"""``kvm`` is much faster, but a guest can hang under it where the host is itself a guest; for amd64 alone."""

QEMU = {
    "amd64": (*("qemu-system-x86_64", "-machine", f"q35,accel={ACCELERATOR}", "-cpu", "host" if ACCELERATOR == "kvm" else "Nehalem"),),
    "arm64": ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
}
"""The program and its machine, by architecture; arm64's is the processor of a Raspberry Pi 4, amd64's one with all that Debian's
programs, Go's and Envoy ask for: what a later one has more costs its emulation, and each boot, more.
"""

KERNEL = ("root=/dev/vda", "rw", "quiet", "net.ifnames=0")
SPARED = (
    *("mitigations=off", "init_on_alloc=0", "hardened_usercopy=off", "randomize_kstack_offset=off", "nokaslr"),
    *("cryptomgr.notests", "random.trust_cpu=on", "audit=0", "nowatchdog", "no_timer_check"),
)
"""What a kernel does against attacks, and to try itself out: of an emulated one a fourth of a boot, and a third of all that follows."""

CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}

NICENESS = -5
"""Emulation is the longest of what runs side by side; it must not wait for a turn."""

STOPPING_SECONDS = 60
CABLE_SECONDS = 60
REBOOT_SECONDS = 600


def leftovers(fleet: str) -> list[int]:
    """Every QEMU process of the fleet, also those whose directory is gone."""
    return processes("-smbios", mark(fleet))


def plug(tap: str, bridge: str) -> None:
    """Make a network cable into a bridge. One of that name that a crash left leads to a network that is gone."""
    run("ip", "link", "delete", tap, check=False)
    run("ip", "tuntap", "add", tap, "mode", "tap")
    run("ip", "link", "set", tap, "master", bridge, "up")


def mark(fleet: str) -> str:
    """A word of QEMU's command line that says whose the machine is."""
    return f"type=11,value=k8s4r.fleet={fleet}"


@dataclass(frozen=True)
class VirtualMachine:
    """The virtual machine ``name`` of a fleet; it lives in ``directory``, its sockets in ``sockets``."""

    fleet: str
    name: str
    directory: Path
    sockets: Path

    @property
    def full_name(self) -> str:
        """Unique on this machine."""
        return f"{self.fleet}-{self.name}"

    @property
    def tap(self) -> str:
        """The host's end of its network cable: at most 15 characters, so a digest."""
        return "k4t-" + hashlib.sha256(self.full_name.encode()).hexdigest()[:8]

    def _state(self) -> dict[str, str]:
        path = self.directory / "machine.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def digest(self) -> str:
        """What it was made from."""
        return self._state().get("digest", "")

    def address(self) -> str:
        """Its address, known also while it is off."""
        return self._state().get("address", "")

    def create(self, setup: Setup) -> None:
        """Copy the image, make it this robot's, and start it."""
        need(QEMU[setup.spec.arch][0], "mkfs.ext4")
        base = image.disk_image(setup.spec)
        self.directory.mkdir(parents=True)
        run("cp", "--sparse=always", "--reflink=auto", base / "root.img", self.directory / "root.img")
        for file in ("vmlinuz", "initrd.img"):
            (self.directory / file).symlink_to(base / file)
        programs = mirror.installed() if setup.spec.has_programs else {}
        image.write_files(self.directory / "root.img", guest.files(setup) | setup.files | programs)
        state = {"digest": setup.digest(), "address": setup.address, "bridge": setup.network.bridge, "arch": setup.spec.arch}
        (self.directory / "machine.json").write_text(json.dumps(state))
        plug(self.tap, setup.network.bridge)
        self.start()

    def start(self) -> None:
        """Start QEMU in the background, with its cable plugged in where the host has lost it."""
        if self.tap not in run("ip", "-oneline", "link", "show"):
            plug(self.tap, self._state()["bridge"])
        mac = ":".join(["52", "54", "00", *(self.tap[index : index + 2] for index in (4, 6, 8))])
        arch = self._state()["arch"]
        command = [
            *(*QEMU[arch], "-name", self.full_name, "-smbios", mark(self.fleet), "-smp", "2", "-m", str(MEMORY), "-display", "none"),
            *("-serial", f"file:{self.directory / 'console.log'}", "-kernel", self.directory / "vmlinuz"),
            *("-initrd", self.directory / "initrd.img", "-append", " ".join([*KERNEL, f"console={CONSOLE[arch]}", *SPARED])),
            *("-drive", f"file={self.directory / 'root.img'},if=virtio,format=raw"),
            *("-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no", "-device", f"virtio-net-pci,netdev=net,mac={mac}"),
            *("-chardev", f"socket,id=agent,path={self._agent},server=on,wait=off", "-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        ]
        end = time.monotonic() + CABLE_SECONDS
        # A QEMU that was killed is gone before the last of its threads has let go of the cable.
        while "resource busy" in (said := self._launch(command)) and time.monotonic() < end:
            time.sleep(1)
        if said:
            raise RobotsError(f"{self.full_name}: QEMU does not start: {said}")

    def _launch(self, command: list[str | Path]) -> str:
        """Start QEMU; what it said when it cannot, nothing when it runs: it goes to the background when it has all that it needs."""
        log = self.directory / "qemu.log"
        with log.open("wb") as output:
            started = subprocess.run(
                ["nice", "-n", str(NICENESS), *command, "-daemonize"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        return log.read_text(errors="replace")[-500:] or f"exit status {started.returncode}" if started.returncode else ""

    @property
    def _agent(self) -> Path:
        return self.sockets / f"{self.name}.agent"

    def _processes(self) -> list[int]:
        return processes("-name", self.full_name)

    def running(self) -> bool:
        """Whether its QEMU is there."""
        return bool(self._processes())

    def power_cut(self) -> None:
        """Kill QEMU: what the guest had not yet written to its disk is lost, as with a real plug."""
        killed = self._processes()
        for process in killed:
            os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, killed)), STOPPING_SECONDS, f"{self.full_name}: still running after SIGKILL")

    def reboot(self) -> None:
        """Ask its systemd, and wait until the new boot answers."""
        before = self.console("cat /proc/sys/kernel/random/boot_id")
        self.console("systemctl reboot", check=False)
        wait_for(lambda: self._boot() not in {"", before}, REBOOT_SECONDS, f"{self.full_name}: not back after a reboot", pause=1)

    def _boot(self) -> str:
        return self.console("cat /proc/sys/kernel/random/boot_id", check=False)

    def network(self, up: bool) -> None:
        """Set the host's end of the cable up or down; it stays so over power cuts and reboots."""
        run("ip", "link", "set", self.tap, "up" if up else "down")

    def console(self, command: str, check: bool = True) -> str:
        """Run a command by way of QEMU's guest agent; an agent that does not answer yet counts as a failure."""
        try:
            status, output = guest.execute(self._agent, command)
        except (OSError, ValueError) as error:
            status, output = 255, str(error) if check else ""
        if check and status:
            raise RobotsError(f"{self.full_name}: {command}: exit status {status}\n{output}")
        return output

    def last_words(self) -> str:
        """What came over its serial line at last: a kernel that has lost its process 1 says so there."""
        return (self.directory / "console.log").read_text(errors="replace")[-2000:]

    def remove(self) -> None:
        """Remove it: process, cable and disk."""
        self.power_cut()
        run("ip", "link", "delete", self.tap, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
