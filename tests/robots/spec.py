# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot shall be: its name, Debian release, kind of machine, processor and place in the fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

DISTROS = ("bullseye", "bookworm", "trixie")
KINDS = ("container", "vm", "uml")
"""A container; a virtual machine of QEMU; User-mode Linux, a kernel that is a program of this machine: three times as fast as an emulated
one, with disks, a clock and plugs of its own too, but it has one processor, no such tables of nftables as pods need, and no Envoy, which
aborts there.
"""
ARCHITECTURES = ("amd64", "arm64")
"""As Debian names them. Only a virtual machine can have another one than the machine that carries it."""

DATACENTRE = "datacentre"
"""The role whose robot plays the data centre: its image has PostgreSQL, and the names of upstreams lead to it."""

ENGINES = "engines"
"""The role whose robot has an engine of containers, Docker, and a registry. A test starts them."""

UPSTREAM_NAMES = ("db.dc.example", "api.dc.example", "telemetry.dc.example")


@dataclass(frozen=True)
class RobotSpec:
    """One robot; ``labels`` become its ``k8s4r_labels``, and the label ``role`` chooses its image."""

    name: str
    distro: str = "bookworm"
    kind: str = "container"
    labels: dict[str, str] = field(default_factory=dict)
    arch: str = "amd64"

    @property
    def virtual(self) -> bool:
        """Whether it has a kernel of its own."""
        return self.kind != "container"

    @property
    def has_programs(self) -> bool:
        """Whether this robot has Envoy and the SPIRE agent from the beginning. One of another architecture shows that it can get them."""
        return (self.kind, self.arch) == ("vm", "amd64")

    @property
    def datacentre(self) -> bool:
        """Whether this robot plays the data centre."""
        return self.labels.get("role") == DATACENTRE

    @property
    def engines(self) -> bool:
        """Whether this robot has an engine of containers."""
        return self.labels.get("role") == ENGINES


def specs(roles: dict[str, int], distro: str, kind: str, arch: str = "amd64") -> list[RobotSpec]:
    """Robots numbered from 1 within each role: ``{"work": 2}`` gives work1 and work2."""
    return [
        RobotSpec(f"{role}{number}", distro, kind, {"role": role}, arch) for role, count in roles.items() for number in range(1, count + 1)
    ]
