# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots and the fleet, as the compiler sees them."""

from __future__ import annotations

import bisect
import typing as t

DEFAULT_AGENT_SOCKET = "/run/spire/sockets/agent.sock"

# What a robot that was never probed is taken for; prepare compares it with the truth (the robot's own answer wins).
ASSUMED_CAPABILITIES: t.Mapping[str, str] = {"kernel.name": "linux", "systemd": "252", "cgroup": "2"}


class Robot(t.NamedTuple):
    """One machine of the inventory group `robots`.

    `capabilities` is the flat dictionary that the engine's probe returns, over it what the inventory declares in
    `k8s4r_attributes`; `${attr.<name>}` looks here. `attestor` is how its SPIRE agent proves its name
    (`spire_agent_attestor`).
    """

    name: str
    address: str
    labels: t.Mapping[str, str] = {}
    datacenter: str = "dc1"
    node_class: str = ""
    capabilities: t.Mapping[str, str] = ASSUMED_CAPABILITIES
    attestor: str = "x509pop"

    @property
    def systemd(self) -> int:
        """Major version of systemd, for the gates of the compiler."""
        digits = self.capabilities.get("systemd", ASSUMED_CAPABILITIES["systemd"]).split(".")[0]
        return int(digits) if digits.isdigit() else 0


class Fleet(t.NamedTuple):
    """The whole inventory group `robots`, sorted by name, and what holds for all of it.

    `peers` maps `host:port` to the SPIFFE ID of who answers there (`k8s4r_peers`). `skip_init_tasks` names init tasks
    whose work provisioning did.
    """

    robots: tuple[Robot, ...]
    trust_domain: str = ""
    agent_socket: str = DEFAULT_AGENT_SOCKET
    peers: t.Mapping[str, str] = {}
    skip_init_tasks: frozenset[str] = frozenset()

    def robot(self, name: str) -> Robot:
        return self.robots[bisect.bisect_left(self.robots, name, key=lambda robot: robot.name)]
