# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge of all pods: its addresses, and what the kernel is told about it, as they should be."""

from __future__ import annotations

import os

from ... import plan
from ...say import jsontext
from ...system import command
from .. import files, rules
from ..kernel import forwarding, settings
from ..six import bridge
from . import kept
from .filters import is_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..files import Pod


def addresses(pods: t.Mapping[str, Pod]) -> list[str]:
    """The bridge has the robot's address in each range of its pods, and none of a range that they had before."""
    if not is_link(plan.BRIDGE):
        return []
    wanted = {f"{files.gateway(pod['range'])}/{pod['range'].partition('/')[2]}" for pod in pods.values()}
    said = jsontext.loads(command.need(["ip", "-4", "-json", "address", "show", "dev", plan.BRIDGE], timeout=command.PATIENCE) or "[]")
    there = {f"{each['local']}/{each['prefixlen']}" for link in said for each in link.get("addr_info", ())}
    lines = [f"address add {each} dev {plan.BRIDGE}" for each in sorted(wanted - there)]
    lines += [f"address delete {each} dev {plan.BRIDGE}" for each in sorted(there - wanted)]
    kept.batch("ip", lines)
    return lines


def told(pods: t.Mapping[str, Pod]) -> list[str]:
    """What the kernel is told about the bridge. Only behind the filter there may it route to the loopback, for answers that go there.
    It forwards last of all, when the walls are there.
    """
    here = f"ipv4/conf/{plan.BRIDGE}"
    wanted = {
        f"{here}/route_localnet": "1" if rules.published(pods) else "0",
        # A source is looked up with the mark: without, the rules for routing let no way lead back.
        f"{here}/src_valid_mark": "1",
        f"{here}/rp_filter": "1",
        f"{here}/accept_redirects": "0",
        f"{here}/send_redirects": "0",
        f"{here}/proxy_arp": "0",
        **bridge.wanted(pods),
    }
    if not os.path.isdir(f"{settings.SETTINGS}/{here}"):
        return []
    others = {name: value for name, value in wanted.items() if settings.read(name) not in ("", value)}
    if others:
        settings.configure(others)
    return [*sorted(others), *forwarding.begin()]
