# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image of containers, by a name of ours.

It is had while a release is prepared, and then called so when the release is switched to: the way back needs no registry. The content is
the image's id. A job without containers imports no more than this.
"""

from __future__ import annotations

from ..plan import CALLED, IMAGES
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import Observer, State
    from .asking import Asking

NAME = r"[a-z0-9._/-]{1,200}:[0-9a-f]{12}"
# Of images/engines.py, which jobs without containers do not wait for.
ENGINES = ("docker", "podman")
PULLS = ("missing", "always", "never")


class Image(Kind):
    KEYS = {"name": str, "reference": str, "pull": str, "where": str, "load": str, "shell": bool, "gpus": bool, "content": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if not resource["name"].startswith(f"{IMAGES}/") or not shape.matches(NAME, resource["name"]):
            yield f"{where}.name: {resource['name']!r} is not a name for an image"
        if resource["pull"] not in PULLS:
            yield f"{where}.pull: {resource['pull']!r} must be one of {', '.join(PULLS)}"
        if shape.has_control(resource["reference"]) or " " in resource["reference"]:
            yield f"{where}.reference: must not contain blanks or control characters"
        if "source" in resource:
            from ..fetch import sources

            yield from shape.typed(f"{where}.source", resource["source"], sources.KEYS)
        elif resource["load"] and not resource["load"].startswith("/"):
            yield f"{where}.load: must be an absolute path"
        if resource.get("engine", ENGINES[0]) not in ENGINES:
            yield f"{where}.engine: {resource['engine']!r} must be one of {', '.join(ENGINES)}"
        auth = resource.get("auth", {})
        if not isinstance(auth, dict) or not all(isinstance(value, str) for value in auth.values()):
            yield f"{where}.auth: must be a mapping of text"

    def place(self, resource: Resource) -> str:
        """No file is there: an engine of containers has it. But by this path it is known, and read."""
        return f"{CALLED}/{resource['name']}"

    def on_disk(self, _resource: Resource) -> str:
        return ""

    def comes_from_elsewhere(self, _resource: Resource) -> bool:
        return True

    def fetched(self, resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> Resource:
        from ..say.errors import Refusal
        from ..state.scrub import Scrubber
        from .images import obtain

        # Registries say what they please.
        scrub = Scrubber([resource.get("auth", {}).get("password", "")])
        called = f"image {resource['reference']}"
        try:
            content = obtain.obtain(resource, asking, lambda text: tell(scrub(f"{called}: {text}")))
        except Refusal as refusal:
            raise Refusal(scrub(refusal.errors)) from refusal
        made: Resource = {**resource, "content": content, "label": called}
        # The robot has the image, or asks with what the plan has: nobody else needs the password.
        made.pop("auth", None)
        made.pop("source", None)
        return made

    def stage(self, resource: Resource, robot: Robot, _tell: t.Callable[[str], None]) -> None:
        from .images import obtain, ours

        obtain.try_out(resource, ours.id_of(resource, robot))

    def of_anyone(self, _resource: Resource) -> bool:
        return True

    def expected(self, resource: Resource) -> State:
        return {"type": "image", "content": resource["digest"]}

    def actual(self, resource: Resource, observer: Observer) -> State | None:
        from .images import failures, ours

        try:
            found = ours.identity(resource)
        except (failures.Unavailable, failures.Refused):
            return None
        return {"type": "image", "content": observer.digest(f"{found}\n".encode("ascii"))} if found else None

    def content(self, resource: Resource) -> bytes:
        from .images import ours

        return f"{ours.identity(resource)}\n".encode("ascii")

    def fix(self, resource: Resource, robot: Robot) -> None:
        from ..say.errors import NotHad
        from .images import engines, failures, keeping, ours

        called = f"image {resource['reference']}"
        try:
            keeping.give(resource, ours.id_of(resource, robot), robot)
        except failures.Unavailable as error:
            raise NotHad(f"{called}: {engines.of(resource).explain(error)}", answered=False) from error
        except failures.Refused as error:
            raise NotHad(f"{called}: {error}", answered=True) from error

    def hurry(self) -> None:
        from .images import api

        api.hurry()

    def remove(self, resource: Resource, robot: Robot) -> None:
        from .images import failures, keeping

        try:
            keeping.take(resource, robot)
        except (failures.Unavailable, failures.Refused):
            # Its name is in no record then: the next run that has to do with images finds and removes it.
            return
