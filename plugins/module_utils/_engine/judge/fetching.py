# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release has from elsewhere: before it is known what a switch would do, since that depends on which bytes there are."""

from __future__ import annotations

from ..resources import kinds
from ..resources.asking import Asking
from ..say.errors import Refusal
from ..state import garbage
from ..state import manifest as manifests
from ..state.formats import Unread
from ..state.ledger import known
from ..state.scrub import Scrubber
from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import GroupPlan, JobPlan, Resource
    from ..state.manifest import PrepareRequest
    from ..state.robot import Robot

    class Said(t.TypedDict):
        """As change/summary.py has what a release does."""

        group: str
        unit: str
        does: str
        why: list[str]
        fetched: bool  # told once, and true whatever becomes of the release: who refuses others has to say it, too

    Tell = t.Callable[[str], None]


class Fetching:
    """A request's plan, with what is known of images and downloads, or has been fetched.

    ``open``: whether anything is still to be asked. ``said``: what a person is told, a line for each. ``settle``: to be called when
    all of it has turned out to be of use; addresses without a checksum are then fixed.
    """

    def __init__(self, robot: Robot, request: PrepareRequest) -> None:
        self.robot = robot
        self.asked = request
        self.request = request
        self.said: list[Said] = []
        self.open = False
        self.settle: t.Callable[[], None] = _nothing
        groups = [group for job in request["plan"]["jobs"] for group in job["groups"]]
        self._scrub = Scrubber(secret for group in groups for secret in group["secrets"])
        if any(kinds.of(resource).comes_from_elsewhere(resource) for group in groups for resource in group["resources"]):
            self._replace(online=False, tell=_nobody)

    def fetch(self, tell: Tell) -> None:
        """Ask the network for what is open. Raises `Refusal`, for all that cannot be had at once."""
        self._replace(online=True, tell=lambda text: tell(self._scrub(text)))

    def _replace(self, online: bool, tell: Tell) -> None:
        problems: list[str] = []
        said: list[Said] = []
        asking = Asking(self.robot, online, bool(self.asked.get("refresh")), lambda: needed(self.robot))

        def replaced(group: GroupPlan, resource: Resource) -> Resource:
            try:
                return kinds.of(resource).fetched(resource, asking, tell)
            except Refusal as refusal:
                problems.extend(refusal.errors)
                return resource
            finally:
                said.extend(_line(group, unit, self._scrub(text)) for unit, text in asking.news)
                asking.news = []

        jobs: list[JobPlan] = [
            {**job, "groups": [{**group, "resources": [replaced(group, each) for each in group["resources"]]} for group in job["groups"]]}
            for job in self.asked["plan"]["jobs"]
        ]
        self.settle = asking.settle
        if problems:
            # Several tasks may have one image.
            raise Refusal(self._scrub(list(dict.fromkeys(problems))))
        self.said, self.open = said, asking.open
        self.request = {**self.asked, "plan": {**self.asked["plan"], "jobs": jobs}}


def needed(robot: Robot) -> set[str]:
    """What the robot's releases need, and those that may still be switched to; all where nobody knows, since a file cannot be read."""
    records, unread = robot.ledger.read()
    resources = [resource for record in records for group in record["groups"].values() for resource in known(group)]
    try:
        found = [robot.manifest(release) for release in garbage.staged(robot)]
    except Unread:
        return set(files.names(f"{robot.state}/cache"))
    resources += [resource for each in found if each for _job, group in manifests.groups(each) for resource in group["resources"]]
    if unread:
        return set(files.names(f"{robot.state}/cache"))
    return {blob for resource in resources for blob in kinds.of(resource).blobs(resource)}


def _line(group: GroupPlan, unit: str, text: str) -> Said:
    return {"group": group["name"], "unit": unit, "does": text, "why": [], "fetched": True}


def _nothing() -> None:
    """Nothing was downloaded."""


def _nobody(_text: str) -> None:
    """What is known already needs no word."""
