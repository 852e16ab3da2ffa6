# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release changes, file by file, in the form in which Ansible shows differences."""

from __future__ import annotations

import json

from ..resources import kinds
from ..system.observe import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from .steps import Step

    Contents = t.Mapping[str, bytes]

    class Difference(t.TypedDict):
        """In the form in which Ansible shows it; the headers are the resource's place."""

        before_header: str
        after_header: str
        before: str
        after: str


LARGEST = 100000


def of_steps(steps: t.Iterable[Step], contents: Contents, secrets: t.Container[str]) -> list[Difference]:
    """One entry for each resource that is made or removed.

    ``contents``: {digest: bytes} of the release. ``secrets``: places whose content nobody may see, now or before.
    """
    return [_entry(step, contents, secrets) for step in steps if step["do"] in ("make", "remove")]


def _entry(step: Step, contents: Contents, secrets: t.Container[str]) -> Difference:
    resource, place = step["resource"], kinds.place(step["resource"])
    removed = step["do"] == "remove"
    if "digest" in resource:
        before, after = _content(place), "" if removed else _text(contents[resource["digest"]])
        if place in secrets:
            before, after = ("(secret)\n" if before else ""), ("" if removed else "(secret, changed)\n")
        if before == after:
            before, after = "(not as below)\n", _attributes(resource)
    else:
        before, after = (_attributes(resource), "") if removed else ("", _attributes(resource))
    return {"before_header": place, "after_header": place, "before": before, "after": after}


def _attributes(resource: Resource) -> str:
    shown = {key: value for key, value in kinds.expected(resource).items() if key not in ("content", "exists")}
    return "".join(f"{key}: {value if isinstance(value, str) else json.dumps(value)}\n" for key, value in sorted(shown.items()))


def _content(path: str) -> str:
    try:
        return _text(read(path))
    except OSError:
        return ""


def _text(content: bytes) -> str:
    if len(content) > LARGEST or b"\0" in content:
        return f"({len(content)} bytes)\n"
    text = content.decode("utf-8", "replace")
    return _unfolded(text) if text.startswith("{") else text


def _unfolded(text: str) -> str:
    """JSON that was written on one line, for a person to compare line by line."""
    try:
        return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    except ValueError:
        return text
