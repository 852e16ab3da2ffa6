# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot as a virtual machine: its own kernel, cgroup v2, real reboots and power cuts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.robots import image, mirror
from tests.robots.host import RobotsError, alive, need, processes, run, wait_for
from tests.robots.machine import Setup
from tests.robots.virtual import guest
from tests.robots.virtual.power import Place, Power
from tests.robots.virtual.qemu import Qemu
from tests.robots.virtual.uml import UserModeLinux

POWER: dict[str, Power] = {"vm": Qemu(), "uml": UserModeLinux()}
"""What runs the kernel, by the kind of the robot."""

NICENESS = -5
"""Emulation is the longest of what runs side by side; it must not wait for a turn."""

STOPPING_SECONDS = 60
CABLE_SECONDS = 60
REBOOT_SECONDS = 600
ANSWER_SECONDS = 5


def leftovers(fleet: str) -> list[int]:
    """Every process of the fleet's machines, also of those whose directory is gone."""
    return [process for power in POWER.values() for process in processes(*power.of_fleet(fleet))]


def plug(tap: str, bridge: str) -> None:
    """Make a network cable into a bridge. One of that name that a crash left leads to a network that is gone."""
    run("ip", "link", "delete", tap, check=False)
    run("ip", "tuntap", "add", tap, "mode", "tap")
    run("ip", "link", "set", tap, "master", bridge, "up")


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
        power = POWER[setup.spec.kind]
        power.needs(setup.spec.arch)
        need("mkfs.ext4")
        base = image.disk_image(setup.spec)
        self.directory.mkdir(parents=True)
        run("cp", "--sparse=always", "--reflink=auto", base / "root.img", self.directory / "root.img")
        for file in ("vmlinuz", "initrd.img"):
            (self.directory / file).symlink_to(base / file)
        programs = mirror.installed() if setup.spec.has_programs else {}
        image.write_files(self.directory / "root.img", guest.files(setup) | power.files() | setup.files | programs)
        state = {
            "digest": setup.digest(),
            "address": setup.address,
            "bridge": setup.network.bridge,
            "arch": setup.spec.arch,
            "kind": setup.spec.kind,
        }
        (self.directory / "machine.json").write_text(json.dumps(state))
        plug(self.tap, setup.network.bridge)
        self.start()

    @property
    def _power(self) -> Power:
        """One whose making a crash interrupted has nothing to tell, and nothing that runs."""
        return POWER[self._state().get("kind", "vm")]

    @property
    def _place(self) -> Place:
        arch = self._state().get("arch", "amd64")
        return Place(self.fleet, self.name, self.full_name, arch, self.directory, self.sockets, self.tap)

    def start(self) -> None:
        """Start it in the background, with its cable plugged in where the host has lost it."""
        if self.tap not in run("ip", "-oneline", "link", "show"):
            plug(self.tap, self._state()["bridge"])
        command = self._power.start(self._place)
        end = time.monotonic() + CABLE_SECONDS
        # One that was killed is gone before the last of its threads has let go of the cable.
        while "resource busy" in (said := self._launch(command)) and time.monotonic() < end:
            time.sleep(1)
        if said:
            raise RobotsError(f"{self.full_name}: does not start: {said}")

    def _launch(self, command: list[str | Path]) -> str:
        """Start it; what was said when it cannot, nothing when it runs: it goes to the background when it has all that it needs."""
        log = self.directory / "start.log"
        with log.open("wb") as output:
            started = subprocess.run(
                ["nice", "-n", str(NICENESS), *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        return log.read_text(errors="replace")[-500:] or f"exit status {started.returncode}" if started.returncode else ""

    def _processes(self) -> list[int]:
        return processes(*self._power.named(self._place))

    def running(self) -> bool:
        """Whether its kernel is there."""
        return bool(self._processes())

    def power_cut(self) -> None:
        """Kill its kernel: what the guest had not yet written to its disk is lost, as with a real plug."""
        killed: set[int] = set()

        def off() -> bool:
            # User-mode Linux has a process for each program of the guest: one may end, or begin, before its turn has come.
            killed.update(found := self._processes())
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            return not any(map(alive, killed))

        wait_for(off, STOPPING_SECONDS, f"{self.full_name}: still running after SIGKILL")

    def reboot(self) -> None:
        """Ask its systemd, and wait until the new boot answers."""
        before = self.console("cat /proc/sys/kernel/random/boot_id")
        self.console("systemctl reboot", check=False)
        wait_for(lambda: self._rebooted(before), REBOOT_SECONDS, f"{self.full_name}: not back after a reboot", pause=1)

    def _rebooted(self, before: str) -> bool:
        # User-mode Linux ends where a machine would begin anew.
        if not self.running():
            self.start()
        return self._boot() not in {"", before}

    def _boot(self) -> str:
        """A machine that goes down reads what it is asked, and then never answers: it is asked again soon."""
        return self.console("cat /proc/sys/kernel/random/boot_id", check=False, silence=ANSWER_SECONDS)

    def network(self, up: bool) -> None:
        """Plug the host's end of the cable into the bridge or out of it; it stays so over power cuts and reboots."""
        run("ip", "link", "set", self.tap, *(("master", self._state()["bridge"]) if up else ("nomaster",)))

    def console(self, command: str, check: bool = True, silence: float = guest.SILENCE_SECONDS) -> str:
        """Run a command by way of QEMU's guest agent; an agent that does not answer yet counts as a failure."""
        try:
            status, output = guest.execute(self._power.agent(self._place), command, silence)
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
