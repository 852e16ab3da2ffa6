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

    from ..system.observe import State
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
    """One entry for each resource that is made or removed: by its content where that differs, else by its attributes.

    ``contents``: {digest: bytes} of the release. ``secrets``: places whose content must not be shown, now or before.
    """
    return [_entry(step, contents, secrets) for step in steps if step["do"] in ("make", "remove")]


def _entry(step: Step, contents: Contents, secrets: t.Container[str]) -> Difference:
    resource, now = step["resource"], step["now"]
    place = kinds.place(resource)
    wanted = None if step["do"] == "remove" else kinds.expected(resource)
    by_content = (now or {}).get("content") != (wanted or {}).get("content")

    def shown(state: State | None, content: t.Callable[[], str]) -> str:
        if state is None:
            return ""
        return content() if by_content and "content" in state else _attributes(state)

    if place in secrets:
        before, after = shown(now, lambda: "(secret)\n"), shown(wanted, lambda: "(secret, changed)\n")
    else:
        before, after = shown(now, lambda: _content(place)), shown(wanted, lambda: _text(contents[resource["digest"]]))
    return {"before_header": place, "after_header": place, "before": before, "after": after}


def _attributes(state: State) -> str:
    values = {key: value for key, value in state.items() if key != "content"}
    return "".join(f"{key}: {value if isinstance(value, str) else json.dumps(value)}\n" for key, value in sorted(values.items()))


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
