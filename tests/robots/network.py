# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's own network: a Docker bridge of a known name, subnet and addresses, which virtual machines share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tests.robots.host import RobotsError, lock, run

FIRST_HOST = 10


@dataclass(frozen=True)
class Network:
    """``prefix`` is the first three numbers of a /24: the host has .1, robots follow from .10."""

    name: str
    prefix: str

    @property
    def gateway(self) -> str:
        """The address under which robots reach this machine."""
        return f"{self.prefix}.1"

    @property
    def bridge(self) -> str:
        """The interface's name: at most 15 characters, so a digest."""
        return bridge_name(self.name)

    def address(self, index: int) -> str:
        """The address of the fleet's robot number ``index``, from 0."""
        return f"{self.prefix}.{FIRST_HOST + index}"


def bridge_name(name: str) -> str:
    """The bridge of the network ``name``."""
    return "k4r-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def find(name: str) -> Network | None:
    """The network, if it exists."""
    found = run("docker", "network", "ls", "--quiet", "--filter", f"name=^{name}$").split()
    if not found:
        return None
    subnet = json.loads(run("docker", "network", "inspect", found[0]))[0]["IPAM"]["Config"][0]["Subnet"]
    return Network(name, subnet.rpartition(".")[0])


def ensure(name: str) -> Network:
    """The network, made with the first free subnet when there is none; the search starts at the name's digest."""
    existing = find(name)
    if existing:
        return existing
    start = hashlib.sha256(name.encode()).digest()[0]
    with lock("network"):
        refusal = ""
        for offset in range(256):
            prefix = f"10.201.{(start + offset) % 256}"
            try:
                run(
                    *("docker", "network", "create", "--subnet", f"{prefix}.0/24", "--gateway", f"{prefix}.1"),
                    *("--opt", f"com.docker.network.bridge.name={bridge_name(name)}", name),
                )
            except RobotsError as error:
                refusal = str(error)
                if "overlaps" not in refusal:
                    raise
            else:
                return Network(name, prefix)
    raise RobotsError(f"no free subnet for the network {name}: {refusal}")


def remove(name: str) -> None:
    """Remove the network where it exists; its robots are gone by then."""
    if find(name):
        run("docker", "network", "rm", name)
