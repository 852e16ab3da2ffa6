# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `compile` hands to the robots' `prepare`: the very same texts, fleet and placement, as one JSON value.

It is sealed on its way (`transport/key.py`), because a rendered text may hold a secret and results are printed.
"""

from __future__ import annotations

import typing as t

from ..fleet.placement import Placement
from ..fleet.robots import Fleet, Robot
from ..job.reader import Source


class Parcel(t.NamedTuple):
    """`removed` names jobs (namespace, name) to take away; `sources` are job files to deploy. One of them is empty."""

    sources: tuple[Source, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    fleet: Fleet = Fleet(())
    placement: Placement = Placement({})

    def to_data(self) -> dict[str, t.Any]:
        return {
            "sources": [[source.name, _text(source.text), source.rendered, source.vaulted] for source in self.sources],
            "removed": [list(job) for job in self.removed],
            "fleet": {**self.fleet._asdict(), "skip_init_tasks": sorted(self.fleet.skip_init_tasks)},
            "placement": [[list(key), dict(held)] for key, held in self.placement.instances.items()],
        }


def from_data(data: t.Mapping[str, t.Any]) -> Parcel:
    fleet = dict(data["fleet"])
    return Parcel(
        sources=tuple(Source(name, text, rendered, vaulted) for name, text, rendered, vaulted in data["sources"]),
        removed=tuple((namespace, name) for namespace, name in data["removed"]),
        fleet=Fleet(
            **{
                **fleet,
                "robots": tuple(Robot(*robot) for robot in fleet["robots"]),
                "skip_init_tasks": frozenset(fleet["skip_init_tasks"]),
            }
        ),
        placement=Placement({(key[0], key[1], key[2]): held for key, held in data["placement"]}),
    )


def _text(text: str | bytes) -> str:
    return text.decode("utf-8-sig") if isinstance(text, bytes) else text
