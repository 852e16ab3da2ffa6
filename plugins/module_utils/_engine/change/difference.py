# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release changes, file by file, in the form in which Ansible shows differences."""

from __future__ import annotations

import json

from ..resources import kinds
from ..system.observe import read

LARGEST = 100000


def of_steps(steps, contents, secrets):
    """One entry for each resource that is made or removed.

    ``contents``: {digest: bytes} of the release. ``secrets``: places whose content nobody may see, now or before.
    """
    return [_entry(step, contents, secrets) for step in steps if step["do"] in ("make", "remove")]


def _entry(step, contents, secrets):
    resource, place = step["resource"], kinds.place(step["resource"])
    removed = step["do"] == "remove"
    entry = {"before_header": place, "after_header": place}
    if "digest" in resource:
        before, after = _content(place), "" if removed else _text(contents[resource["digest"]])
        if place in secrets:
            before, after = ("(secret)\n" if before else ""), ("" if removed else "(secret, changed)\n")
        entry.update(before=before, after=after)
        if before == after:
            entry.update(before="(not as below)\n", after=_attributes(resource))
    else:
        entry.update(before=_attributes(resource) if removed else "", after="" if removed else _attributes(resource))
    return entry


def _attributes(resource):
    shown = {key: value for key, value in kinds.expected(resource).items() if key not in ("content", "exists")}
    return "".join(f"{key}: {value if isinstance(value, str) else json.dumps(value)}\n" for key, value in sorted(shown.items()))


def _content(path):
    try:
        return _text(read(path))
    except OSError:
        return ""


def _text(content):
    if len(content) > LARGEST or b"\0" in content:
        return f"({len(content)} bytes)\n"
    text = content.decode("utf-8", "replace")
    return _unfolded(text) if text.startswith("{") else text


def _unfolded(text):
    """JSON that was written on one line, for a person to compare line by line."""
    try:
        return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    except ValueError:
        return text
