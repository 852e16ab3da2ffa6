# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment says of pods on other robots that may talk to those of this one, and cannot."""

from __future__ import annotations

from ...plan import ROUTES
from ...state.manifest import groups
from .. import addresses
from ..files import contains, network, number
from . import robots, routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.manifest import Manifest
    from ..addresses import Read
    from .robots import Other


def unreached(manifest: Manifest, read: Read) -> list[str]:
    """A text for each of the other robots: which groups have pods there, and why no route leads to it."""
    others: list[Other] = []
    by_group = {}
    own = set()
    for _job, group in groups(manifest):
        pods = addresses.pods(group["resources"], read).values()
        own |= {network(pod["range"]) for pod in pods}
        by_group[group["name"]] = {
            name: {number(each) for each in found} for pod in pods for name, found in pod.get("elsewhere", {}).items() if found
        }
        if any(by_group[group["name"]].values()):
            texts = (each for each in group["resources"] if each.get("path", "").startswith(ROUTES + "/"))
            robots.add(others, (other for each in texts for other in robots.parsed(read(each["digest"]).decode("utf-8"))))
    if not others:
        return []
    _ways, without = routes.known(others, sorted(own))
    found = []
    for name, whole, _addresses in others:
        apart = sorted({far for known in by_group.values() for far, there in known.items() if any(contains(whole, each) for each in there)})
        if name in without and apart:
            found.append(f"this robot {without[name]}: its pods and the pods of {', '.join(apart)} there cannot reach each other")
    return found
