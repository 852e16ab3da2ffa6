# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret values out of every text that leaves the robot."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from urllib import parse

from . import manifest as manifests
from .formats import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .ledger import GroupRecord
    from .manifest import Manifest
    from .robot import Robot

HIDDEN = "********"
# What is shorter is too little to be a secret, and would blot out half of every text; a line of several is likelier to be a common word.
SHORTEST, SHORTEST_LINE = 3, 4
SHORTEST_CODED = 8


class Scrubber:
    """``scrubber(value)`` is a JSON value with every secret in its texts hidden."""

    def __init__(self, secrets: t.Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms.update(_forms(secret))
        # Longest first: a secret that contains another one is hidden completely.
        longest_first = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)
        self._forms = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, value: t.Any) -> t.Any:
        if self._forms is None:
            return value
        if isinstance(value, str):
            return self._forms.sub(HIDDEN, value)
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        return value


def _forms(secret: str) -> list[str]:
    """A secret as it may appear in a text: as programs print it, whole, without the spaces at its ends, or line by line."""
    lines = [line for line in secret.splitlines() if len(line) >= SHORTEST_LINE]
    return [form for text in (secret, secret.rstrip(), secret.strip(), *lines) for form in _written(text)]


def _written(text: str) -> t.Iterator[str]:
    """A text as it is, as JSON, as Python shows it, in an environment file, in a URL, and in base64."""
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    content = text.encode("utf-8", "surrogateescape")
    yield repr(content)[2:-1]
    yield "".join("\\" + char if char in '"\\`$' else char for char in text)
    for encoded in (parse.quote(content, safe=""), parse.quote(content), parse.quote_plus(content)):
        yield encoded
        yield re.sub("%..", lambda found: found.group().lower(), encoded)
    yield from _in_base64(content)


def _in_base64(content: bytes) -> t.Iterator[str]:
    """What is the same of it whatever stands before and behind it, as a user's name does in a header of HTTP. What is shorter than
    `SHORTEST_CODED` may be anything.
    """
    for before in range(3):
        coded = base64.b64encode(bytes(before) + content)
        # The first characters have something of what stands before, and the last ones of what stands behind.
        first, last = (0, 2, 3)[before], (before + len(content)) * 8 // 6
        core = coded[first:last].decode("ascii")
        if len(core) >= SHORTEST_CODED:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def of_release(robot: Robot, manifest: Manifest, secrets: t.Iterable[str] = ()) -> Scrubber:
    """Hides what the store keeps of a release's secrets, and of those that the robot has of the same jobs.

    ``secrets``: further values, those of a release that is not in the store yet.
    """
    digests = {group["secrets"] for _job, group in manifests.groups(manifest)}
    digests |= {group["secrets"] for group in robot.ledger.groups(manifest["jobs"])}
    return _scrubber(robot, digests, secrets)


def of_groups(robot: Robot, groups: t.Iterable[GroupRecord]) -> Scrubber:
    """Hides the secrets of groups that the robot has."""
    return _scrubber(robot, {group["secrets"] for group in groups}, ())


def _scrubber(robot: Robot, digests: t.Iterable[str | None], secrets: t.Iterable[str]) -> Scrubber:
    found = list(secrets)
    for digest in filter(None, digests):
        # Not there: not staged yet, or never to be. Or damaged: then there is nothing to compare texts with.
        with contextlib.suppress(FileNotFoundError, Damaged):
            found += json.loads(robot.store.read(digest).decode("utf-8"))
    return Scrubber(found)
