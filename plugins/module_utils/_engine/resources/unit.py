# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd unit file, and whether its unit shall run. When it restarts is decided in change/steps: that depends on other files too.

What others have added to the unit (X.service.d/*.conf, `systemctl edit`, `systemctl set-property`) counts as its content, and goes
when the unit file is put right. Settings for units of many names, such as service.d/*.conf, are the robot's own.
"""

from __future__ import annotations

import os

from ..plan import CHECKS, TIMER_STAMPS, UNIT_DIRECTORY
from ..system import files, own
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port, Resource, Told
    from ..state.robot import Robot
    from ..system.observe import Observer, State

NAME = r"k8s4r-[A-Za-z0-9_.:@\\-]{1,200}\.(service|target|slice|socket|timer|path)"
RUNS = ("none", "always", "init", "hook", "once")
# Starting one again would stop what belongs to it; a change of its file is taken in by daemon-reload.
NEVER_RESTARTED = (".target", ".slice")
# Where systemd looks for additions to one unit, and where its own commands write them; systemd.unit(5).
ADDITIONS = (UNIT_DIRECTORY, "/etc/systemd/system.control", "/run/systemd/system", "/run/systemd/system.control")
# The types of the keys that a unit need not have, and what they are called.
_STRING, _NUMBER, _MAPPING = (str, "a string"), ((int, float), "a number"), (dict, "a mapping")
_OPTIONAL: t.Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "logs": _STRING,
    "checks": _STRING,
    "container": _STRING,
    "label": _STRING,
    "stops": _STRING,
    "done": ((str, type(None)), "a string"),
    "settles": _NUMBER,
    "deadline": _NUMBER,
    "pause": _NUMBER,
    "refreshes": _MAPPING,
    "told": _MAPPING,
    "listens": (list, "a list of ports"),
}
# What a port has.
_PORT = {"address", "port", "where"}


class Unit(Kind):
    KEYS = {"name": str, "content": str, "run": str, "reads": list}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if not shape.matches(NAME, resource["name"]) or shape.matches(own.UNITS, resource["name"]):
            yield f"{where}.name: {resource['name']!r} is not an allowed unit name"
        if resource["run"] not in RUNS:
            yield f"{where}.run: {resource['run']!r} must be one of {', '.join(RUNS)}"
        given: dict[str, t.Any] = {**resource}
        for key, (types, called) in _OPTIONAL.items():
            if key in given and not isinstance(given[key], types):
                yield f"{where}.{key}: must be {called}"
                del given[key]
        for key in ("logs", "done"):
            if given.get(key):
                yield from shape.path(f"{where}.{key}", given[key])
        if given.get("checks") and not given["checks"].startswith(CHECKS + "/"):
            yield f"{where}.checks: must be a file in {CHECKS}"
        if not all(isinstance(does, str) for does in (given.get("refreshes") or {}).values()):
            yield f"{where}.refreshes: must be a mapping of strings"
        if not all(isinstance(port, dict) and port.keys() >= _PORT for port in given.get("listens") or ()):
            yield f"{where}.listens: must be a list of ports"

    def place(self, resource: Resource) -> str:
        return f"{UNIT_DIRECTORY}/{resource['name']}"

    def expected(self, resource: Resource) -> State:
        return {"type": "file", "owner": "root", "group": "root", "mode": "0644", "content": resource["digest"]}

    def actual(self, resource: Resource, observer: Observer) -> State | None:
        found = super().actual(resource, observer)
        if found and "content" in found and _additions(resource):
            found["content"] = observer.digest(self.content(resource))
        return found

    def content(self, resource: Resource) -> bytes:
        """As `systemctl cat` shows it, additions behind the unit file."""
        parts = [super().content(resource)]
        for path in _additions(resource):
            parts.append(b"\n# " + os.fsencode(path) + b"\n")
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    parts.append(stream.read())
        return b"".join(parts)

    def fix(self, resource: Resource, robot: Robot) -> None:
        if _is_timer(resource):
            # By other times it has missed nothing. Before its file: whoever is killed in between does both again. (Without any stamp, newer
            # versions of systemd count from when the timer was last started.)
            os.makedirs(TIMER_STAMPS, mode=0o755, exist_ok=True)
            files.write(_stamp(resource), b"", 0, 0, 0o644)
        files.write(self.place(resource), robot.store.read(resource["digest"]), 0, 0, 0o644)
        _remove_additions(resource)

    def remove(self, resource: Resource, robot: Robot) -> None:
        super().remove(resource, robot)
        _remove_additions(resource)
        if _is_timer(resource):
            # If it ever comes back, it has missed nothing.
            files.remove(_stamp(resource))

    def is_hook(self, resource: Resource) -> bool:
        return bool(resource["run"] == "hook")

    def rests_while_changed(self, resource: Resource) -> bool:
        return _is_timer(resource)

    def reads(self, resource: Resource) -> t.Sequence[str]:
        return resource["reads"]

    def refreshes(self, resource: Resource) -> t.Mapping[str, str]:
        # Older engines knew nothing of them.
        return resource.get("refreshes", {})

    def told(self, resource: Resource) -> Told | None:
        return resource.get("told")

    def holds(self, resource: Resource) -> t.Sequence[str]:
        # Older engines knew nothing of them.
        return resource.get("holds", ())

    def stops(self, resource: Resource) -> str:
        return resource.get("stops", "")

    def logs(self, resource: Resource) -> str:
        return resource.get("logs", "")

    def checks(self, resource: Resource) -> str:
        return resource.get("checks", "")

    def listens(self, resource: Resource) -> t.Sequence[Port]:
        # Older engines knew nothing of them.
        return resource.get("listens", ())

    def pause(self, resource: Resource) -> float:
        # Older engines knew nothing of it.
        return resource.get("pause", 0.0)

    def settles(self, resource: Resource) -> float | None:
        return resource.get("settles")

    def deadline(self, resource: Resource) -> float | None:
        return resource.get("deadline")

    def unit(self, resource: Resource) -> str | None:
        return resource["name"]

    def runs(self, resource: Resource) -> bool:
        return resource["run"] != "none"

    def installs(self, resource: Resource) -> bool:
        return resource["run"] == "init"

    def restarts(self, resource: Resource) -> bool:
        return not resource["name"].endswith(NEVER_RESTARTED)

    def starts_the_others(self, resource: Resource) -> bool:
        return resource["name"].endswith(".target")

    def steady(self, resource: Resource) -> bool:
        return resource["run"] == "always"

    def ends(self, resource: Resource) -> bool:
        return resource["run"] == "once"

    def finished(self, resource: Resource) -> bool:
        done = resource.get("done")
        return done is not None and os.path.exists(done)


def _directories(resource: Resource) -> list[str]:
    """The directories of additions to a unit that are there."""
    return [path for path in (f"{directory}/{resource['name']}.d" for directory in ADDITIONS) if os.path.isdir(path)]


def _additions(resource: Resource) -> list[str]:
    return [f"{path}/{name}" for path in _directories(resource) for name in sorted(os.listdir(path)) if name.endswith(".conf")]


def _is_timer(resource: Resource) -> bool:
    return str(resource["name"]).endswith(".timer")


def _stamp(resource: Resource) -> str:
    """The file by whose time systemd knows when a timer was last due."""
    return f"{TIMER_STAMPS}/stamp-{resource['name']}"


def _remove_additions(resource: Resource) -> None:
    for path in _directories(resource):
        files.remove(path)
