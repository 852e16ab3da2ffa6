# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our names for images, as they are."""

from __future__ import annotations

from . import engines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...plan import Resource
    from ...state.robot import Robot


def identity(resource: Resource) -> str | None:
    """The id of the image that has its name, None where none has."""
    found: str | None = engines.of(resource).identity(resource["name"])
    return found


def id_of(resource: Resource, robot: Robot) -> str:
    """The id of the image that a release has by this name."""
    return robot.store.read(resource["digest"]).decode("ascii").strip()
