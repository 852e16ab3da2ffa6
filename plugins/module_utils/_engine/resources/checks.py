# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kinds' checks have in common: each yields one text for each thing that is wrong, with its place in the plan.

Patterns are texts, compiled at their first use: an unchanged deploy imports this and checks nothing.
"""

from __future__ import annotations

import os
import re

from .. import plan

OWNER = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
MODE = r"0[0-7]{3}|[1-7][0-7]{3}"
CONTROL = r"[\x00-\x1f\x7f]"


def typed(where, value, keys):
    """``keys``: {key: type} that a mapping must have."""
    if not isinstance(value, dict):
        return [f"{where}: not a mapping"]
    return [f"{where}.{key}: a {kind.__name__} is needed" for key, kind in keys.items() if not isinstance(value.get(key), kind)]


def path(where, path):
    """The path of something that the engine may make or remove."""
    whole = path == os.path.normpath(path) and not has_control(path) and len(os.fsencode(path)) < 4000
    if not whole or any(len(os.fsencode(part)) > 240 for part in path.split("/")):
        yield f"{where}: {path!r} is not a plain absolute path"
    elif not any(path.startswith(root) and len(path) > len(root) for root in plan.ROOTS) or path.startswith("/etc/sysusers.d/"):
        yield f"{where}: {path} is outside of what the engine may touch"


def owned(where, resource):
    """Owner, group and mode."""
    for key in ("owner", "group"):
        if not re.fullmatch(OWNER, resource[key]):
            yield f"{where}.{key}: {resource[key]!r} is no name of a user or group"
    if not re.fullmatch(MODE, resource["mode"]):
        yield "{}.mode: {!r} is not four octal digits".format(where, resource["mode"])


def has_control(text):
    """Whether there are control characters in a text."""
    return re.search(CONTROL, text) is not None
