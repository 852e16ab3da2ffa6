# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``take``: a part of a file that the controller has downloaded for this robot; the next ``prepare`` finds it."""

from __future__ import annotations

import re

from ..fetch import local
from ..fetch.cache import Cache, Unfetched
from ..judge import fetching

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..say.answers import Answer
    from ..state.robot import Robot


def answer(robot: Robot, request: t.Mapping[str, t.Any], part: bytes) -> Answer:
    """How much of the file is here."""
    if not re.fullmatch("[0-9a-f]{64}", request["sha256"]):
        return {"status": "refused", "errors": [f"sha256: {request['sha256']!r} is not a SHA-256 digest"]}
    needed = set() if part else fetching.needed(robot)
    try:
        here = local.receive(Cache(f"{robot.state}/cache"), request["sha256"], request["size"], request["at"], part, needed)
    except Unfetched as problem:
        return {"status": "refused", "errors": [str(problem)]}
    return {"status": "ok", "at": here}
