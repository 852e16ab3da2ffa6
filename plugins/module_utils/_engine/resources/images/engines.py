# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines of containers that a robot may have: each answers, in a file of its own, the same questions."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types

    from ...plan import Resource


def of(resource: Resource) -> types.ModuleType:
    """Who has an image. Nobody waits for what only the other one needs."""
    if resource.get("engine") == "podman":
        from . import podman

        return podman
    from . import docker

    return docker
