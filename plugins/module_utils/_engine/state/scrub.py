# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret values out of every text that leaves the robot."""

from __future__ import annotations

import contextlib
import json
import re

from ..say import forms
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
    return [form for text in (secret, secret.rstrip(), secret.strip(), *lines) for form in forms.written(text)]


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
