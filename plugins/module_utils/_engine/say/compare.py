# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings two texts of the same file differ in, by their names."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    Settings = t.Mapping[str, t.Union[str, t.List[str]]]


def variables(text: str) -> dict[str, str] | None:
    """The variables of an environment file, `NAME="value"`, in which a value may have several lines; None for any other text.

    Values are as they are written there, escaped.
    """
    found: dict[str, str] = {}
    rest = text
    while rest:
        name, opened, rest = rest.partition('="')
        end = 0
        while end < len(rest) and rest[end] != '"':
            end += 2 if rest[end] == "\\" else 1
        if not opened or not name.replace("_", "a").isalnum() or rest[end : end + 2] != '"\n':
            return None
        found[name] = rest[:end]
        rest = rest[end + 2 :]
    return found


def directives(text: str) -> dict[str, list[str]]:
    """The directives of a unit file, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


# What people call the settings of a container: of what run-container is given, and of what Docker's API is. Some are told elsewhere.
_CALLED = {
    "command": ("Cmd", "Entrypoint", "WorkingDir"),
    "devices": ("devices", "Devices", "DeviceRequests"),
    "limits": ("Memory", "NanoCpus", "PidsLimit", "ShmSize", "Ulimits"),
    "ports": ("ExposedPorts", "PortBindings"),
    "user": ("groups", "user", "GroupAdd", "User"),
    "volumes": ("Binds", "Mounts", "Tmpfs"),
}
_SETTINGS = {name: word for word, names in _CALLED.items() for name in names}
_ELSEWHERE = ("hidden", "Env", "Image", "Labels")


def container(text: str) -> dict[str, str] | None:
    """The settings of a container, by what people call them; None for any other text."""
    try:
        described = json.loads(text)
        body = {**described, **described["body"], **described["body"].get("HostConfig", {})}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    found: dict[str, dict[str, t.Any]] = {}
    for name, value in body.items():
        if name not in (*_ELSEWHERE, "body", "HostConfig"):
            found.setdefault(_SETTINGS.get(name, "container"), {})[name] = value
    return {word: json.dumps(settings, sort_keys=True) for word, settings in found.items()}


def differing(before: Settings, after: Settings) -> list[str]:
    """The names of what comes, goes or has another value."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
