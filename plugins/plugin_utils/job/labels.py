# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a `portLabel` stands for."""

from __future__ import annotations

import re
import typing as t

from .addresses import LOOPBACK, here
from .model.network import Network
from .model.vocabulary import PORT, Transport


class Place(t.NamedTuple):
    """Where something on the robot listens."""

    host: str
    port: int


def labels(network: Network | None) -> list[str]:
    """What a group declares that is reached over TCP: labels of ports of the robot, and names of services."""
    if network is None:
        return []
    ports = [port.label for port in network.ports if port and port.label and port.protocol is not Transport.UDP]
    return [*ports, *(service.name for service in network.services if service and service.name)]


def resolve(network: Network | None, label: str, numbers: t.Mapping[str, int] | None = None) -> Place | None:
    """The place of a label, or of a port's number; None for a label that the group does not declare, and for one of UDP.

    `numbers` are the numbers of the instance's ports, by label. Without them, a port that has yet to be chosen has the number 0.
    """
    if re.fullmatch(PORT, label):
        return Place(LOOPBACK, int(label))
    for port in network.ports if network else ():
        if port and port.label == label and port.protocol is not Transport.UDP:
            return Place(here(port.host_ip or LOOPBACK), (numbers or {}).get(label) or port.static or 0)
    for service in network.services if network else ():
        if service and service.name == label and service.to:
            host, _colon, number = service.to.rpartition(":")
            if not host:
                return resolve(network, service.to, numbers) if service.to != label else None
            return Place(here(host), int(number))
    return None
