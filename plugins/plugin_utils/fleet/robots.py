# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots and the fleet, as the compiler sees them."""

from __future__ import annotations

import bisect
import functools
import ipaddress
import typing as t

from ..job.addresses import plain

DEFAULT_AGENT_SOCKET = "/run/spire/sockets/agent.sock"

# As Nomad has it.
DEFAULT_POD_RANGE = "172.26.64.0/20"

# Of what is reserved for private networks (ICANN, 2024), a name that nobody else has.
DEFAULT_DNS_DOMAIN = "k8s4r.internal"

# Assumed of a robot that was never probed. The robot checks it: its own answer wins.
ASSUMED_CAPABILITIES: t.Mapping[str, str] = {"kernel.name": "linux", "systemd": "252", "cgroup": "2"}

# What `${node.<name>}` may name.
NODE = ("unique.name", "datacenter", "class")


class Robot(t.NamedTuple):
    """One machine of the inventory group `robots`.

    `capabilities` is what the engine's probe returns, overridden by `k8s4r_attributes` of the inventory; `${attr.<name>}` looks
    here. `attestor` is how its SPIRE agent proves its name (`spire_agent_attestor`). `way` is all that decides which machine Ansible
    reaches by this name. `downloads`: who downloads its artifacts, itself (`robot`) or the `controller`. `pods`: the addresses of its
    pods, a network; `pods6`: the same of IPv6, empty where they have none. `addresses` is `k8s4r_address`, empty where the inventory does
    not set it. `dns`: the domain for which a DNS server of the robot's own answers, empty where it has none; `dns_loopback`: whether that
    also does for the robot itself.
    """

    name: str
    address: str
    labels: t.Mapping[str, str] = {}
    datacenter: str = "dc1"
    node_class: str = ""
    capabilities: t.Mapping[str, str] = ASSUMED_CAPABILITIES
    attestor: str = "x509pop"
    way: tuple[str, ...] = ()
    downloads: str = "robot"
    pods: str = DEFAULT_POD_RANGE
    addresses: tuple[str, ...] = ()
    dns: str = ""
    dns_loopback: bool = False
    pods6: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        """Whose it is, in a message for several robots."""
        return (self.name,)

    @property
    def called(self) -> str:
        """As messages call it."""
        return f"robot {self.name}"

    @property
    def reached_at(self) -> tuple[str, ...]:
        """Where other robots reach it: `k8s4r_address`, by default the address at which the controller does. That may be the controller's
        end of a tunnel, at which other robots reach nobody.
        """
        return self.addresses or (() if is_of_all(self.address) else (self.address,))

    @property
    def node(self) -> dict[str, str]:
        """What `${node.<name>}` stands for, by name."""
        return dict(zip(NODE, (self.name, self.datacenter, self.node_class), strict=True))

    @property
    def systemd(self) -> int:
        """The major version of systemd; 0 if it is unknown."""
        return _major(self.capabilities.get("systemd", ASSUMED_CAPABILITIES["systemd"]))


# The robots of a fleet have most hosts in common.
@functools.lru_cache(maxsize=4096)
def is_of_all(host: str) -> bool:
    """Whether every machine has this address, and so reaches itself there: a loopback, or the unspecified one."""
    try:
        address = ipaddress.ip_address(plain(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@functools.lru_cache(maxsize=256)
def _major(version: str) -> int:
    digits = version.split(".")[0]
    return int(digits) if digits.isdigit() else 0


class Fleet(t.NamedTuple):
    """The whole inventory group `robots`, sorted by name, and the settings that all of them share.

    `peers` maps `host:port` to the SPIFFE ID of the service there (`k8s4r_peers`). `skip_init_tasks` names init tasks that are not
    run, because provisioning did their work.
    """

    robots: tuple[Robot, ...]
    trust_domain: str = ""
    agent_socket: str = DEFAULT_AGENT_SOCKET
    peers: t.Mapping[str, str] = {}
    skip_init_tasks: frozenset[str] = frozenset()

    def robot(self, name: str) -> Robot:
        return self.robots[bisect.bisect_left(self.robots, name, key=lambda robot: robot.name)]
