# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kinds' checks have in common: each yields one text for each thing that is wrong, with its place in the plan.

An unchanged deploy imports this and checks nothing, so ``re``, whose import costs milliseconds, is imported by who matches.
"""

from __future__ import annotations

import os

from .. import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

OWNER = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
MODE = r"0[0-7]{3}|[1-7][0-7]{3}"
CONTROL = r"[\x00-\x1f\x7f]"
_NAMES: t.Mapping[type, str] = {str: "a string", list: "a list", dict: "a mapping", bool: "true or false", int: "a number"}


def matches(pattern: str, text: str) -> bool:
    """Whether a complete text is as a pattern has it."""
    import re

    return re.fullmatch(pattern, text) is not None


def has_control(text: str) -> bool:
    """Whether there are control characters in a text."""
    import re

    return re.search(CONTROL, text) is not None


def typed(where: str, value: t.Any, keys: t.Mapping[str, type]) -> list[str]:
    """``keys``: {key: type} that a mapping must have."""
    if not isinstance(value, dict):
        return [f"{where}: not a mapping"]
    return [f"{where}.{key}: must be {_NAMES[kind]}" for key, kind in keys.items() if not isinstance(value.get(key), kind)]


def path(where: str, path: str) -> t.Iterator[str]:
    """The path of something that the engine may make or remove."""
    plain = path == os.path.normpath(path) and not has_control(path) and len(os.fsencode(path)) < 4000
    if not plain or any(len(os.fsencode(part)) > 240 for part in path.split("/")):
        yield f"{where}: {path!r} is not a plain absolute path"
    elif not any(path.startswith(root) and len(path) > len(root) for root in plan.ROOTS) or path.startswith("/etc/sysusers.d/"):
        yield f"{where}: {path} is outside the directories that the engine may change"


def owned(where: str, resource: plan.Resource) -> t.Iterator[str]:
    """Owner, group and mode."""
    for key, name in (("owner", resource["owner"]), ("group", resource["group"])):
        if not matches(OWNER, name):
            yield f"{where}.{key}: {name!r} is not the name of a user or group"
    if not matches(MODE, resource["mode"]):
        yield f"{where}.mode: {resource['mode']!r} is not four octal digits"
