# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual machine is to the program that runs its kernel."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A machine's names, and where it has what."""

    fleet: str
    name: str
    full_name: str
    arch: str
    directory: Path
    sockets: Path
    tap: str

    @property
    def mac(self) -> str:
        """The address of its network card: that of its cable's name."""
        return ":".join(["52", "54", "00", *(self.tap[index : index + 2] for index in (4, 6, 8))])

    @property
    def disk(self) -> Path:
        """The file that is its disk."""
        return self.directory / "root.img"

    @property
    def log(self) -> Path:
        """What its kernel, and its process 1, say."""
        return self.directory / "console.log"


class Power(t.Protocol):
    """What runs the kernel of a virtual machine."""

    def needs(self, arch: str) -> None:
        """Install what is missing. Raises `RobotsError` where it cannot run this processor's programs."""

    def files(self) -> dict[str, tuple[int, bytes]]:
        """What the guest has to have for it: path -> mode and content."""

    def agent(self, place: Place) -> Path:
        """What leads to the guest agent: a socket, or a directory with two pipes."""

    def named(self, place: Place) -> tuple[str, ...]:
        """Words in a row of the command line of each of the machine's processes."""

    def of_fleet(self, fleet: str) -> tuple[str, ...]:
        """Words in a row of the command line of every machine of a fleet."""

    def start(self, place: Place) -> list[str | Path]:
        """The command that starts the machine in the background, and ends when it runs."""
