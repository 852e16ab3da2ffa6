# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `compile` hands to the robots' `prepare`: the very same texts, and of fleet and placement each robot's own share.

Both are JSON values, sealed on their way (`transport/key.py`), because a rendered text may hold a secret and results are
printed. A share does not grow with the fleet.
"""

from __future__ import annotations

import typing as t

from ..fleet.placement import Placement
from ..fleet.robots import Fleet, Robot
from ..job.read.source import Source


class Parcel(t.NamedTuple):
    """`removed` names jobs (namespace, name) to take away; `sources` are job files to deploy. One of them is empty."""

    sources: tuple[Source, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    fleet: Fleet = Fleet(())
    placement: Placement = Placement({})

    def texts(self) -> dict[str, t.Any]:
        """What is the same for every robot."""
        return {
            "sources": [[source.name, _text(source.text), source.rendered, source.vaulted] for source in self.sources],
            "removed": [list(job) for job in self.removed],
        }

    def share(self, name: str, peers: t.Mapping[str, str]) -> dict[str, t.Any]:
        """What else compiling the robot `name` needs; `peers` are the identities that the first compilation found for it."""
        alone = self.fleet._replace(robots=(self.fleet.robot(name),), peers=peers)
        return {
            "fleet": {**alone._asdict(), "skip_init_tasks": sorted(alone.skip_init_tasks)},
            "placement": [[list(key), held[name]] for key, held in self.placement.instances.items() if name in held],
        }


def from_data(texts: t.Mapping[str, t.Any], share: t.Mapping[str, t.Any]) -> Parcel:
    """The parcel of one robot: the whole run's texts, a fleet of that robot alone, and what it holds."""
    fleet = share["fleet"]
    robot = Robot(*fleet["robots"][0])
    return Parcel(
        sources=tuple(Source(name, text, rendered, vaulted) for name, text, rendered, vaulted in texts["sources"]),
        removed=tuple((namespace, name) for namespace, name in texts["removed"]),
        fleet=Fleet(**{**fleet, "robots": (robot,), "skip_init_tasks": frozenset(fleet["skip_init_tasks"])}),
        placement=Placement({(key[0], key[1], key[2]): {robot.name: held} for key, held in share["placement"]}),
    )


def _text(text: str | bytes) -> str:
    return text.decode("utf-8-sig") if isinstance(text, bytes) else text
