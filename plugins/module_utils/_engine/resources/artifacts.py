# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifacts of a task: files that are downloaded while a release is staged, and put into the task's directories by the switch.

In a plan the content says where they come from, with whatever is secret; on the robot it says which bytes they are, and where they go,
with nothing that is. All artifacts of a task are one resource, because a later one may replace files of an earlier one. A job without
any imports no more than this.
"""

from __future__ import annotations

import os

from .. import plan
from ..say import jsontext
from ..say.errors import Refusal
from ..system import files
from ..system.accounts import group_id, user_id
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..fetch.shapes import Item, Source
    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import Observer, State
    from .asking import Asking

CACHE, UNPACKED = "cache", "unpacked"
# The last components of the directories in which artifacts may be.
_NAMES = ("local", "alloc")


class Artifacts(Kind):
    KEYS = {"path": str, "name": str, "content": str, "owner": str, "group": str, "mode": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        from ..fetch import sources

        yield from shape.path(f"{where}.path", resource["path"])
        yield from shape.owned(where, resource)
        if shape.has_control(resource["name"]):
            yield f"{where}.name: must not contain control characters"
        try:
            found = jsontext.loads(resource["content"])
        except ValueError:
            found = None
        if not isinstance(found, list):
            yield f"{where}.content: must be a list in JSON"
            return
        for number, source in enumerate(found):
            at = f"{where}.content[{number}]"
            problems = shape.typed(at, source, sources.KEYS)
            yield from problems or _wrong(at, source)

    def expected(self, resource: Resource) -> State:
        return {"type": "file", "content": resource["digest"]}

    def actual(self, resource: Resource, _observer: Observer) -> State | None:
        found = _read(resource["path"])
        if found is None:
            return None
        return {"type": "file", "content": found["content"] if all(map(os.path.lexists, found["there"])) else ""}

    def content(self, resource: Resource) -> bytes:
        found = _read(resource["path"])
        return _text(found["items"]).encode("ascii") if found else b""

    def differences(self, before: str, after: str) -> t.Sequence[str]:
        old, new = _listed(before), _listed(after)
        found = dict.fromkeys(_called(item) for item in [*new, *old] if item not in old or item not in new)
        return list(found) or ["files of its artifacts"]

    def fix(self, resource: Resource, robot: Robot) -> None:
        from ..fetch import place

        self._unpack(resource, robot, _ignore)
        path, items = resource["path"], _items(resource, robot)
        owner = user_id(resource["owner"]), group_id(resource["group"])
        there = place.put(items, _unpacked(resource, robot), path, owner)
        found = {"content": resource["digest"], "items": items, "there": there}
        files.write(path, jsontext.dumps(found).encode("ascii"), 0, 0, int(resource["mode"], 8))

    def emptied(self, resource: Resource) -> Resource | None:
        # Once it is in the ledger that there are none, that can go like everything else.
        if not resource.get("blobs"):
            return None
        # Its user may be gone by then, and is given nothing.
        return {**resource, "content": _text([]), "blobs": [], "owner": "root", "group": "root"}

    def comes_from_elsewhere(self, resource: Resource) -> bool:
        return bool(jsontext.loads(resource["content"]))

    def fetched(self, resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> Resource:
        from ..fetch import sources
        from ..fetch.cache import Unfetched

        fetcher = asking.fetcher
        problems: list[str] = []
        items: list[Item | None] = []
        for number, source in enumerate(jsontext.loads(resource["content"])):
            said = f"{resource['name']}: artifact {source['shown']}"

            def told(text: str, said: str = said) -> None:
                tell(f"{said}: {text}")

            try:
                sha256 = fetcher.find(source, told)
            except Unfetched as error:
                problems.append(f"{resource['where']}[{number}]: {source['shown']}: {error}")
            else:
                items.append(sources.item(source, sha256) if sha256 else None)
        if problems:
            raise Refusal(problems)
        news, fetcher.news = fetcher.news, []
        found = [item for item in items if item]
        if len(found) < len(items):
            asking.later(resource["name"], [f"artifact {source['shown']}" for source in jsontext.loads(resource["content"])])
            return resource
        asking.news += [(resource["name"], f"artifact {text}") for text in news]
        blobs = sorted({item["sha256"] for item in found})
        fetcher.needed.update(blobs)
        return {**resource, "content": _text(found), "blobs": blobs, "secret": False}

    def blobs(self, resource: Resource) -> t.Sequence[str]:
        return resource.get("blobs", ())

    def stage(self, resource: Resource, robot: Robot, tell: t.Callable[[str], None]) -> None:
        from ..fetch import place

        self._unpack(resource, robot, tell)
        # Not said on the way back, which must end.
        problems = place.obstacles(_items(resource, robot), _unpacked(resource, robot), resource["path"])
        if problems:
            raise Refusal([f"{resource['where']}: {text}" for text in problems])

    def _unpack(self, resource: Resource, robot: Robot, tell: t.Callable[[str], None]) -> None:
        from ..fetch import cache, unpack

        try:
            unpack.prepare(cache.Cache(f"{robot.state}/{CACHE}"), _items(resource, robot), _unpacked(resource, robot), tell)
        except cache.Unfetched as error:
            remedy = "if the job has no checksum for it, -e refresh=true downloads it again"
            raise Refusal([f"{resource['where']}: {error}; {remedy}"]) from None

    def remove(self, resource: Resource, _robot: Robot) -> None:
        from ..fetch import place

        place.take_out(resource["path"])

    def changes_hands(self, resource: Resource, now: State | None) -> bool:
        """No program finds some files of the one release and some of the other."""
        return now is not None and now != self.expected(resource)

    def outlives(self, resource: Resource, data: t.Sequence[str]) -> bool:
        return any(resource["path"].startswith(path + "/") for path in data)


def _ignore(_text: str) -> None:
    """Nobody waits for what a switch says of its single steps."""


def _wrong(at: str, source: Source) -> t.Iterator[str]:
    from ..fetch import forms, place, sources

    yield from shape.path(f"{at}.to", source["to"])
    parts = source["to"].split("/")
    inside = source["to"].startswith((plan.TASKS + "/", plan.STATE + "/groups/")) and len(parts) >= place.OWN + (source["mode"] == "file")
    if not inside or parts[place.OWN - 1] not in _NAMES:
        yield f"{at}.to: {source['to']} is not in a directory of a task"
    if source["get"] not in sources.GETTERS:
        yield f"{at}.get: {source['get']!r} is not known"
    if source["mode"] not in ("any", "file", "dir"):
        yield f"{at}.mode: {source['mode']!r} is not one of any, file, dir"
    if source["archive"] and source["archive"] not in forms.FORMS:
        yield f"{at}.archive: {source['archive']!r} is not one of {', '.join(forms.FORMS)}"
    if source["name"] in ("", ".", "..") or "/" in source["name"] or shape.has_control(source["name"]):
        yield f"{at}.name: {source['name']!r} is not the name of a file"


def _items(resource: Resource, robot: Robot) -> list[Item]:
    found: list[Item] = jsontext.loads(robot.store.read(resource["digest"]).decode("ascii"))["artifacts"]
    return found


def _text(items: t.Sequence[Item]) -> str:
    """What the ledger has of them, and a difference shows."""
    return jsontext.dumps({"artifacts": items})


def _listed(text: str) -> list[Item]:
    """The artifacts of a content; none where it is not known yet which they are."""
    found = jsontext.loads(text) if text else None
    listed: list[Item] = found["artifacts"] if isinstance(found, dict) else []
    return listed


def _called(item: Item) -> str:
    """An artifact by where it goes, since where it came from may be secret."""
    from ..fetch import place

    to = "/".join(item["to"].rstrip("/").split("/")[place.OWN - 1 :])
    if item["archive"] and item["mode"] != "file":
        return f"artifact {item['name']} in {to}"
    return f"artifact {to}" if item["mode"] == "file" else f"artifact {to}/{item['name']}"


def _unpacked(resource: Resource, robot: Robot) -> str:
    """Where they lie unpacked, until the switch takes them."""
    return f"{robot.state}/{UNPACKED}/{robot.digest(resource['path'] + ' ' + resource['digest'])}"


def _read(path: str) -> dict[str, t.Any] | None:
    """What a switch has put there; None where none has."""
    try:
        with open(path, encoding="ascii") as stream:
            found = jsontext.loads(stream.read())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"content": "", "items": [], "there": []}
    return found if isinstance(found, dict) and {"content", "items", "there"} <= set(found) else {"content": "", "items": [], "there": []}
