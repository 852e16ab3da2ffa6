# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of the robot on which tasks listen."""

from dataclasses import field as attribute

from ..declare.keys import key
from ..declare.record import record
from .vocabulary import ADDRESS, NAME, Transport

_LABEL = "Label, unique in its group, and no number. Injected variables are named after it."
_TO = (
    "Port that tasks find in `NOMAD_ALLOC_PORT_<LABEL>`: in mode group, the pod's port that the robot's leads to. Default: the robot's "
    "port."
)


@record
class Port:
    """A port of the robot for the group's tasks; each instance has its own. In mode group it leads to a port of the pod."""

    label: str = key(_LABEL, pattern=NAME)
    static: int | None = key("The port. Default: one of 20000 to 32000, which stays the same.", default=None, minimum=1, maximum=65535)
    to: int | None = key(_TO, default=None, minimum=1, maximum=65535)
    host_ip: str | None = key(
        "Address of the robot where tasks listen, or that leads to the pod, which they find in `NOMAD_IP_<LABEL>`. Default: every address "
        "(in mode group every IPv4 address), and tasks find the robot's `ansible_host`.",
        name="hostIP",
        default=None,
        pattern=ADDRESS,
        expected="an IP address of the robot",
    )
    protocol: Transport = key("Protocol. TCP and UDP ports are separate: one number can be used once for each.", default=Transport.TCP)
    # Where the port is written, and where its number is, if it has one: below the job's root.
    path: str = attribute(default="", compare=False)
    number_path: str = attribute(default="", compare=False)


@record
class ReservedPort:
    """A port of the robot; the same as a port of the group's network with `static`."""

    label: str = key(_LABEL, pattern=NAME)
    value: int = key("The port.", minimum=1, maximum=65535)


@record
class DynamicPort:
    """A port of the robot; the same as a port of the group's network without `static`."""

    label: str = key(_LABEL, pattern=NAME)
    to: int | None = key(_TO, default=None, minimum=1, maximum=65535)
