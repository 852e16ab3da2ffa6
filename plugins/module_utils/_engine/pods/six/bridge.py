# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's end of IPv6: its address on the bridge, and where each pod is.

Nobody asks for a neighbour there: the Ethernet address of each pod is written down, and each pod knows that of its robot. So a filter
drops all questions and answers of pods (neighbour discovery), and none can say that it is somebody else. The bridge has no address of
the link, and takes nothing from announcements.
"""

from __future__ import annotations

import os

from ...plan import BRIDGE
from ...say import jsontext
from ...system import command
from .. import guard
from ..kernel import forwarding, settings
from .family import SIX, of_six

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..files import Pod

    # Runs the lines of a batch.
    Batch = t.Callable[[t.Sequence[str]], object]


def wanted(pods: t.Mapping[str, Pod]) -> dict[str, str]:
    """Settings of the bridge: its own in order, so that it never has an address that is not ours."""
    here = f"ipv6/conf/{BRIDGE}"
    if not of_six(pods):
        return {f"{here}/disable_ipv6": "1"}
    none = {f"{here}/{name}": "0" for name in ("accept_ra", "autoconf", "accept_redirects", "accept_dad", "proxy_ndp")}
    return {**none, f"{here}/addr_gen_mode": "1", f"{here}/disable_ipv6": "0"}


def ensure(pods: t.Mapping[str, Pod], batch: Batch) -> list[str]:
    """Have the bridge as these pods need it, and the robot forward; what was not so. ``batch``: of `ip -6`."""
    six = of_six(pods)
    if not six or not os.path.isdir(f"{settings.SETTINGS}/ipv6/conf/{BRIDGE}"):
        return []
    lines = [*_addresses(six), *_places(pods, six)]
    batch(lines)
    return [*lines, *forwarding.begin_six()]


def _addresses(six: t.Mapping[str, Pod]) -> list[str]:
    """The robot's own in each range, and no other."""
    wanted = {f"{SIX.gateway(pod['range'])}/{pod['range'].partition('/')[2]}" for pod in six.values()}
    there = {f"{each['local']}/{each['prefixlen']}" for link in _said("address", "show") for each in link.get("addr_info", ())}
    return [
        *(f"address add {each} dev {BRIDGE} nodad" for each in sorted(wanted - there)),
        *(f"address delete {each} dev {BRIDGE}" for each in sorted(there - wanted)),
    ]


def _places(pods: t.Mapping[str, Pod], six: t.Mapping[str, Pod]) -> list[str]:
    """At which Ethernet address each pod is, for good."""
    wanted = {SIX.spelt(SIX.number(pod["address"])): guard.hardware(pods[id]["address"]) for id, pod in six.items()}
    there = {each["dst"]: each.get("lladdr") for each in _said("neighbour", "show", "nud", "permanent")}
    return [
        *(f"neighbour replace {each} lladdr {at} dev {BRIDGE} nud permanent" for each, at in wanted.items() if there.get(each) != at),
        *(f"neighbour delete {each} dev {BRIDGE}" for each in there if each not in wanted),
    ]


def _said(what: str, *how: str) -> t.Any:
    return jsontext.loads(command.need(["ip", "-6", "-json", what, *how, "dev", BRIDGE], timeout=command.PATIENCE) or "[]")
