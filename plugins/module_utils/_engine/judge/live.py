# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs have the ports that a release wants, other than those that may: the group's own, and those that give a port up."""

from __future__ import annotations

from ..resources import kinds
from ..state.manifest import groups
from ..system import ports
from .handover import gives_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port
    from ..state.ledger import GroupRecord
    from ..state.manifest import Manifest, ManifestGroup
    from ..state.robot import Robot


class Live:
    """What a release finds on the robot."""

    def __init__(self, robot: Robot, manifest: Manifest) -> None:
        self._records = [(group, record) for job, group in groups(manifest) for record in [robot.ledger.group(job, group["id"])] if record]
        gone = (record for group, record in self._records if not group["resources"])
        self._free = _units(_interrupted(robot)) | _units(gone)

    def taken(self, group: ManifestGroup, wanted: t.Iterable[Port]) -> list[str]:
        """One text for each port that the group wants and others have."""
        # Looking at who holds a port is dear: those that the same units give up are looked at together.
        by_giver: dict[frozenset[str], list[Port]] = {}
        for port in wanted:
            given_up = _units(record for other, record in self._records if gives_up(other, record, port))
            by_giver.setdefault(frozenset(given_up), []).append(port)
        own = _units([group]) | _units(record for other, record in self._records if other is group)
        return [
            text for units, asked in by_giver.items() for text in ports.taken(asked, self._free | own | units, self._kept(group, asked))
        ]

    def _kept(self, group: ManifestGroup, wanted: t.Iterable[Port]) -> list[Port]:
        """Those of tasks that the group has already, or another one gives up. Docker listens at the ports of its containers, so no unit of
        theirs need do so.
        """

        def is_ours(port: Port) -> bool:
            return any(
                gives_up(other, record, port) or (other is group and any(ports.meet(port, each) for each in record["ports"]))
                for other, record in self._records
            )

        return [port for port in wanted if port.get("called") and is_ours(port)]


def _interrupted(robot: Robot) -> list[ManifestGroup]:
    """The groups of an interrupted switch: what runs of them is stopped before this release is switched to."""
    journal = robot.journal()
    manifest = robot.manifest(journal["release"]) if journal else None
    return [group for _job, group in groups(manifest)] if manifest else []


def _units(groups: t.Iterable[ManifestGroup | GroupRecord]) -> set[str]:
    return {name for group in groups for name in kinds.units(group["resources"])}
