# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release changes, in the form in which Ansible shows differences: files by their contents, all else a line for each."""

from __future__ import annotations

import json

from ..resources import kinds
from ..say import compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..system.observe import State
    from .steps.step import Step

    class Difference(t.TypedDict, total=False):
        """In the form in which Ansible shows it: lines, or a text before and after with the place of the file as headers."""

        prepared: str
        before_header: str
        after_header: str
        before: str
        after: str


LARGEST = 100000
SECRET, CHANGED = "(secret)", "(secret, changed)"


class Contents:
    """The texts of files as they are and as they will be; ``staged``: {digest: bytes} of the release."""

    def __init__(self, staged: t.Mapping[str, bytes]) -> None:
        self.staged = staged

    def before(self, resource: Resource) -> str:
        """What is at a resource's place; empty where nothing is that can be read."""
        try:
            return _text(kinds.of(resource).content(resource))
        except OSError:
            return ""

    def after(self, resource: Resource) -> str:
        return _text(self.staged[resource["digest"]])


def of_steps(steps: t.Iterable[Step], contents: Contents, known: t.Mapping[str, Resource]) -> list[Difference]:
    """What is made and removed: all that has no content, keeps it, or is a new program of ours in lines, then each file with its content.

    ``known``: {place: resource} that the robot had before. A file that was secret or will be is not shown, but for variables.
    """
    lines: list[str] = []
    files: list[Difference] = []
    for step in steps:
        if step["do"] in ("close", "remove", "discard"):
            lines.append(f"- {kinds.label(step['resource'])}")
        elif step["do"] == "make":
            resource, now = step["resource"], step["now"]
            as_it_is = kinds.expected(resource).get("content") in (None, (now or {}).get("content"))
            if as_it_is or (resource.get("ours") and now is None):
                lines.append(_line(resource, now))
            else:
                files.append(_file(resource, now, contents, known.get(kinds.place(resource))))
    shown: list[Difference] = [{"prepared": "\n".join([*lines, ""])}] if lines else []
    return shown + files


def _line(resource: Resource, now: State | None) -> str:
    """What has no content, or another owner or mode: `+ directory /a (root:root 0755)`, `~ directory /a (mode 0777 -> 0755)`."""
    expected = kinds.expected(resource)
    if now is None:
        owned = f" ({expected['owner']}:{expected['group']} {expected['mode']})" if "mode" in expected else ""
        limited = f" ({expected['limit']})" if "limit" in expected else ""
        return f"+ {kinds.label(resource)}{owned}{limited}"
    differing = [f"{name} {now.get(name)} -> {expected[name]}" for name in sorted(expected) if now.get(name) != expected[name]]
    return f"~ {kinds.label(resource)} ({', '.join(differing)})"


def _file(resource: Resource, now: State | None, contents: Contents, known: Resource | None) -> Difference:
    place = kinds.place(resource)
    before = contents.before(resource) if now and now.get("type") == "file" else ""
    after = contents.after(resource)
    if resource.get("secret") or (known and known.get("secret")):
        before, after = _without_secrets(before, after, _hidden(known), _hidden(resource), now is not None, not resource.get("label"))
    return {"before_header": place, "after_header": place, "before": before, "after": after}


def _hidden(resource: Resource | None) -> list[str] | None:
    """The variables whose values must not be shown; None: of all."""
    return resource.get("hidden") if resource else None


def _without_secrets(
    before: str, after: str, hides: list[str] | None, hides_then: list[str] | None, is_there: bool, variables: bool
) -> tuple[str, str]:
    """Two texts of a secret file, to be shown. Of an environment file the names of all variables are, and values that are no secret.
    ``variables``: whether it may be one.
    """
    old, new = compare.variables(before), compare.variables(after) if variables else None
    if old is None or new is None:
        return f"{SECRET}\n" if is_there else "", f"{CHANGED}\n"
    changed = compare.differing(old, new)

    def shown(values: t.Mapping[str, str], hidden: list[str] | None, otherwise: str) -> str:
        def value(name: str) -> str:
            if hidden is None or name in hidden:
                return otherwise if name in changed else SECRET
            return values[name]

        return "".join(f"{name}={value(name)}\n" for name in sorted(values))

    return shown(old, hides, SECRET), shown(new, hides_then, CHANGED)


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
