# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret values out of every text that leaves the robot."""

from __future__ import annotations

import contextlib
import json

from . import manifest as manifests

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .manifest import Manifest
    from .robot import Robot

HIDDEN = "********"
# A shorter line of a secret of several lines is too little to be one, and would blot out half of every text.
SHORTEST_LINE = 4


class Scrubber:
    """``scrubber(value)`` is a JSON value with every secret in its texts hidden."""

    def __init__(self, secrets: t.Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            forms.update(_forms(secret))
        # Longest first: a secret that contains another one is hidden completely.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, value: t.Any) -> t.Any:
        if not self._forms:
            return value
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, HIDDEN)
            return value
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        return value


def _forms(secret: str) -> list[str]:
    """A secret as it may appear in a text: as it is, line by line, as JSON, and as in an environment file."""
    if not secret:
        return []
    lines = [line for line in secret.splitlines() if len(line) >= SHORTEST_LINE]
    escaped = "".join("\\" + char if char in '"\\`$' else char for char in secret)
    return [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], escaped, *lines]


def of_release(robot: Robot, manifest: Manifest, secrets: t.Iterable[str] = ()) -> Scrubber:
    """Hides what the store keeps of a release's secrets, and of those that the robot has of the same jobs.

    ``secrets``: further values, those of a release that is not in the store yet.
    """
    digests = {group["secrets"] for _job, group in manifests.groups(manifest)}
    digests |= {group["secrets"] for group in robot.ledger.groups(manifest["jobs"])}
    found = list(secrets)
    for digest in filter(None, digests):
        # Not there: not staged yet, or never to be.
        with contextlib.suppress(FileNotFoundError):
            found += json.loads(robot.store.read(digest).decode("utf-8"))
    return Scrubber(found)
