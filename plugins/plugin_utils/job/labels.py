# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a `portLabel` stands for."""

from __future__ import annotations

import re
import typing as t

from .addresses import LOOPBACK, plain
from .model.network import Network
from .model.vocabulary import PORT

# Where to connect to what listens at every address.
_OWN = {"0.0.0.0": LOOPBACK, "::": "::1"}


class Place(t.NamedTuple):
    """Where something on the robot listens."""

    host: str
    port: int


def labels(network: Network | None) -> list[str]:
    """The names of ports that a group declares."""
    return [service.name for service in network.services if service and service.name] if network else []


def resolve(network: Network | None, label: str) -> Place | None:
    """The place of a label, or of a port's number; None for a label that the group does not declare."""
    if re.fullmatch(PORT, label):
        return Place(LOOPBACK, int(label))
    for service in network.services if network else ():
        if service and service.name == label and service.to:
            host, _colon, port = service.to.rpartition(":")
            host = plain(host)
            return Place(_OWN.get(host, host), int(port))
    return None
