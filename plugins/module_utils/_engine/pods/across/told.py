# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment says of pods on other robots that may talk to those of this one, and cannot."""

from __future__ import annotations

from ...plan import ROUTES
from ...state.manifest import groups
from .. import addresses
from ..six.family import FOUR, SIX
from . import robots, routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.manifest import Manifest
    from ..addresses import Read
    from ..six.family import Family
    from .robots import Other


def unreached(manifest: Manifest, read: Read) -> list[str]:
    """A text for each of the other robots: which groups have pods there, and why no route leads to it. Of one that is not reached at all,
    IPv6 is not spoken of.
    """
    four, six = _unreached(manifest, read, FOUR), _unreached(manifest, read, SIX)
    cannot = "this robot {}: its pods and the pods of {} there cannot reach each other"
    found = [cannot.format(why, groups) for why, groups in four.values()]
    return found + [f"{cannot.format(why, groups)} over IPv6" for name, (why, groups) in six.items() if name not in four]


def _unreached(manifest: Manifest, read: Read, of: Family) -> dict[str, tuple[str, str]]:
    """By the name of a robot the reason, and the groups."""
    others: list[Other] = []
    by_group = {}
    own = set()
    for _job, group in groups(manifest):
        pods = of.see(addresses.pods(group["resources"], read)).values()
        own |= {of.network(pod["range"]) for pod in pods}
        by_group[group["name"]] = {
            name: {of.number(each) for each in found} for pod in pods for name, found in pod.get("elsewhere", {}).items() if found
        }
        if any(by_group[group["name"]].values()):
            texts = (each for each in group["resources"] if each.get("path", "").startswith(ROUTES + "/"))
            robots.add(others, (other for each in texts for other in robots.parsed(read(each["digest"]).decode("utf-8"), of)), of)
    if not others:
        return {}
    _ways, without = routes.known(others, sorted(own), of)
    found = {}
    for name, whole, _addresses in others:
        apart = sorted(
            {far for known in by_group.values() for far, there in known.items() if any(of.contains(whole, each) for each in there)}
        )
        if name in without and apart:
            found[name] = without[name], ", ".join(apart)
    return found
