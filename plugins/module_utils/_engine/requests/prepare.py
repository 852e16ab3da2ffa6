# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``prepare``: whether there is anything to do, and when the plan has come, everything but the switch itself."""

from __future__ import annotations

from ..judge import unchanged
from ..say.errors import Refusal
from ..state import lock
from ..system import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..say.answers import Answer
    from ..state.manifest import PrepareRequest
    from ..state.robot import Robot


def answer(robot: Robot, request: PrepareRequest) -> Answer:
    """Answers at once if nothing changed; otherwise staging.py works in its own unit.

    ``attempt`` of the request is the name of the release that a plan becomes: with a plan that was sent again, because its answer was
    lost, comes the same one, and is told how far it is.
    """
    release = _release(request) if request.get("plan") is not None and not request.get("check") else ""
    if release and _is_known(robot, release):
        from . import background

        return background.wait(robot, release)
    if robot.has_requests():
        from . import background

        background.sweep(robot)
    truth = capabilities.probe(robot.runtime)
    stale = capabilities.differ(request.get("assumptions") or {}, truth)
    holder = lock.held(robot.runtime + "/lock") if not stale else None
    if holder:
        return {"status": "refused", "errors": [holder]}
    if "mesh" in request and _knows_otherwise(robot, request["mesh"]):
        from ..mesh import known

        return {"status": "stale", "capabilities": truth, "mesh": known.of(robot)}
    if stale:
        return {"status": "stale", "capabilities": truth}
    if request.get("plan") is None:
        # Whether an address has something new is not in the ledger.
        if robot.interrupted() or request.get("refresh"):
            return {"status": "plan-needed"}
        found = unchanged.answer(robot, request["jobs"], bool(request.get("keep_data")))
        if request.get("name_jobs") and found["status"] == "unchanged":
            found["has"] = robot.ledger.jobs()
        return found
    if request.get("check"):
        from ..change import staging

        return staging.check(robot, request)
    from . import background

    return background.start(robot, "prepare", release, request)


def _release(request: PrepareRequest) -> str:
    """The name of what the plan becomes."""
    from ..plan import releases

    found = request.get("attempt") or releases.new()
    if not releases.is_sound(found):
        raise Refusal([f"the attempt {found[: releases.MOST]!r} is no name of a release"])
    return found


def _is_known(robot: Robot, release: str) -> bool:
    from ..state import results

    return results.load(robot, release) is not None


def _knows_otherwise(robot: Robot, digest: str) -> bool:
    """Whether the groups here serve or call something else than the controller has in mind."""
    from ..mesh import known

    return known.digest(robot) != digest
