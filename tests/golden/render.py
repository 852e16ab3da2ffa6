# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compiled robot as a person reads it: everything that is in the plan, in its order, and no byte left out."""

from __future__ import annotations

import difflib
import json
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.helpers import HELPERS
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import CompiledRobot

WIDTH = 120
CONTENT = "  |"


def lines(compiled: CompiledRobot) -> list[str]:
    """Each line of a file's content, and of an entry, stands behind a bar."""
    found: list[str] = []
    for job in compiled.plan["jobs"]:
        for group in job["groups"]:
            found.append(f"group {group['name']} ({group['id']})")
            for resource in group["resources"]:
                found += _resource(resource)
            found += [f"check {check['name']}: {' '.join(check['argv'])}" for check in group["checks"]]
            found += [f"need {need['what']}: {need['path']}" for need in group["needs"]]
            found += [f"program {program['path']} {program['search']} ({program['where']})" for program in group["programs"]]
            found += [f"expect {expected['what']} {expected['name']} ({expected['where']})" for expected in group["expects"]]
            found += [f"port {_port(port)} ({port['where']})" for port in group["ports"]]
    for entry in compiled.entries:
        found += [f"entry {entry['spiffe_id']}", *_behind_bars(_compact(entry, ""))]
    return found + [f"warning {warning}" for warning in compiled.warnings]


def differences(before: t.Sequence[str], after: t.Sequence[str]) -> list[str]:
    """The lines that came and went, with one line around them and the resource that they belong to."""
    found: list[str] = []
    shown = ""
    for changes in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(1):
        start = changes[0][1]
        if before[start].startswith(CONTENT):
            head = next(line for line in reversed(before[:start]) if not line.startswith(CONTENT))
            found += ["      ..."] if head == shown else [f"  {head}", "      ..."]
            shown = head
        for _tag, old, old_end, new, new_end in changes:
            if before[old:old_end] == after[new:new_end]:
                found += [f"  {line}" for line in before[old:old_end]]
            else:
                found += [f"- {line}" for line in before[old:old_end]] + [f"+ {line}" for line in after[new:new_end]]
    return found


def _port(port: t.Mapping[str, t.Any]) -> str:
    more = [str(port[key]) for key in ("protocol", "called") if key in port] + ["chosen"] * bool(port.get("chosen"))
    return " ".join([f"{port['address']}:{port['port']}", *more])


def _resource(resource: t.Mapping[str, t.Any]) -> list[str]:
    shown = [
        f"{key}={value}"
        for key, value in resource.items()
        if key not in ("kind", "path", "name", "content") and value not in (None, [], False, "")
    ]
    head = f"{resource['kind']} {resource.get('path') or resource['name']} {' '.join(shown)}".rstrip()
    return [head, *_behind_bars(_content(resource))]


def _behind_bars(content: t.Iterable[str]) -> list[str]:
    return [f"{CONTENT} {line}" if line else CONTENT for line in content]


def _content(resource: t.Mapping[str, t.Any]) -> list[str]:
    content, path = resource.get("content", ""), resource.get("path", "")
    for helper in HELPERS:
        # Its text stands in a file of its own, which is read there.
        if path.endswith(f"/bin/{helper.name}") and content == helper.text:
            return [f"the helper {helper.name}"]
    if path.endswith(".json"):
        data = json.loads(content)
        # Its one spelling, so that the lines below hold every byte of it.
        assert content == json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"
        return _compact(data, "")
    return content.removesuffix("\n").split("\n") if content else []


def _compact(value: t.Any, indent: str) -> list[str]:
    """JSON with each value that fits into a line on one line."""
    flow = json.dumps(value, ensure_ascii=False)
    if len(indent + flow) <= WIDTH or not isinstance(value, (dict, list)):
        return [indent + flow]
    members = [(f"{key}: ", item) for key, item in value.items()] if isinstance(value, dict) else [("- ", item) for item in value]
    found: list[str] = []
    for name, item in members:
        inner = _compact(item, indent + "  ")
        beside = len(inner) == 1 and not inner[0].lstrip().startswith("- ")
        found += [indent + name + inner[0].lstrip()] if beside else [indent + name.rstrip(), *inner]
    return found
