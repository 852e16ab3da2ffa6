# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers and virtual machines have in common, so that a fleet need not tell them apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from tests.robots import image
from tests.robots.host import RobotsError, wait_for
from tests.robots.network import Network
from tests.robots.spec import RobotSpec


@dataclass(frozen=True)
class Setup:
    """All that makes a machine the one it is: ``hosts`` go to its /etc/hosts, ``files`` over its root file system."""

    spec: RobotSpec
    network: Network
    address: str
    hosts: dict[str, str]
    files: dict[str, tuple[int, bytes]]

    def digest(self) -> str:
        """Tells whether an existing machine is as wanted."""
        return hashlib.sha256(repr((self, image.name(self.spec))).encode()).hexdigest()[:16]


class Machine(Protocol):
    """One robot as a machine. ``start`` and ``reboot`` return before it has booted."""

    full_name: str

    def digest(self) -> str:
        """The digest of the setup that it was made from; empty when there is no such machine."""

    def address(self) -> str:
        """Its address on the fleet's network."""

    def create(self, setup: Setup) -> None:
        """Make it and switch it on."""

    def running(self) -> bool:
        """Whether it is switched on, booted or not."""

    def start(self) -> None:
        """Switch it on."""

    def power_cut(self) -> None:
        """Pull the plug."""

    def reboot(self) -> None:
        """An orderly shutdown and a new boot."""

    def network(self, up: bool) -> None:
        """Plug or unplug the network cable, with no word to either end."""

    def console(self, command: str, check: bool = True) -> str:
        """Run a shell command as root without the network, and return its standard output."""

    def last_words(self) -> str:
        """The last lines that its process 1 wrote."""

    def remove(self) -> None:
        """Remove it, in whatever state it is."""


def wait_booted(machine: Machine, seconds: float) -> None:
    """Wait for systemd to say ``running``; anything else is an error that names the units."""
    states = []

    def settled() -> bool:
        # It waits on the robot: each question costs an emulated one a part of a second.
        states.append(machine.console("timeout 60 systemctl is-system-running --wait", check=False).strip())
        return states[-1] in {"running", "degraded"}

    wait_for(settled, seconds, f"{machine.full_name}: not booted")
    if states[-1] != "running":
        raise RobotsError(f"{machine.full_name}: {states[-1]}\n{machine.console('systemctl --failed --no-pager --plain')}")
