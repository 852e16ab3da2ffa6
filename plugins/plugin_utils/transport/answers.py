# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot may answer: anything else, from a robot that is broken or hostile, is an error and not a success.

The engine's own files say what each key means. What has no key here is dropped: an action's result comes from an answer, and in one,
Ansible takes `add_host` or `ansible_facts` for orders.
"""

from __future__ import annotations

import re
import typing as t

from ...module_utils._engine.plan import CHOSEN
from ..job.model.vocabulary import FULL_GROUP, FULL_SERVICE

Shape = t.Callable[[t.Any], bool]


class Strange(Exception):
    """An answer that no engine of this version gives."""


def _text(value: t.Any) -> bool:
    return isinstance(value, str)


def _perhaps_text(value: t.Any) -> bool:
    return value is None or isinstance(value, str)


def _texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _mappings(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _going(value: t.Any) -> bool:
    """What goes from a robot, by the ids of groups: change/survey.py."""
    shape = {"name": str, "whole": bool, "units": list, "data": int, "kept": int}
    return isinstance(value, dict) and all(_has(going, shape) and _texts(going["units"]) for going in value.values())


def _summary(value: t.Any) -> bool:
    """What changes, one member for each line: change/summary.py."""
    shape = {"group": str, "unit": str, "does": str, "why": list}
    return isinstance(value, list) and all(
        _has(change, shape) and _texts(change["why"]) and isinstance(change.get("fetched", False), bool) for change in value
    )


def _before(value: t.Any) -> bool:
    """How much the robot had of each job: state/ledger.py."""
    return isinstance(value, list) and all(_has(state, {"state": str, "plan": str}) for state in value)


def _follows(value: t.Any) -> bool:
    """The files that follow what other robots have, by path: change/staging.py. One that was rendered may follow several services.

    The names are printed as they are, in lines about other robots too.
    """
    shape = {"group": str, "follows": str, "before": str}
    return isinstance(value, dict) and all(_has(file, shape) and _names(file) for file in value.values())


def _names(file: t.Mapping[str, str]) -> bool:
    services = file["follows"].split(" ")
    return bool(re.fullmatch(FULL_GROUP, file["group"])) and all(re.fullmatch(FULL_SERVICE, service) for service in services)


def _has(value: t.Any, shape: t.Mapping[str, type]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), kind) for key, kind in shape.items())


def _text_by_name(value: t.Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


_CHECK = {"name": str, "status": str, "said": str}
_UNIT = {"called": str, "well": bool, "done": bool, "run": str}
_GROUP = {"name": str, "kept": list, "silent": list, "lacks": list, "units": dict, "usage": dict}
# Of a unit, what systemd may not have told.
_PERHAPS = {"state": str, "sub": str, "how": str, "restarts": int, "usage": dict, "seconds": int}


def _usage(value: t.Any) -> bool:
    """What a unit or a group uses: usage/cgroups.py."""
    if not (value is None or _has(value, {"cpu": dict, "memory": dict})):
        return False
    numbers = [number for key in ("cpu", "memory") for number in value[key].values()] if value else []
    return all(number is None or isinstance(number, (int, float)) for number in numbers)


def _jobs(value: t.Any) -> bool:
    """What runs on a robot: requests/status.py."""
    if not (isinstance(value, list) and all(_has(job, {"name": str, "groups": dict}) for job in value)):
        return False
    return all(_group(group) for job in value for group in job["groups"].values())


def _group(value: t.Any) -> bool:
    if not _has(value, _GROUP):
        return False
    ports, pods = value.get("ports", []), value.get("pods", [])
    if not (isinstance(ports, list) and isinstance(pods, list)):
        return False
    return (
        _texts(value["kept"])
        and _texts(value.get("gone", []))
        and _texts(value.get("unidentified", []))
        and _texts(value.get("calls", []))
        and _usage(value.get("usage"))
        and all(_has(pod, {"instance": int, "address": str}) for pod in pods)
        and all(_has(port, {"address": str, "port": int}) for port in (*value["silent"], *ports))
        and all(map(_serving, ports))
        and all(_has(need, {"path": str, "what": str}) for need in value["lacks"])
        and all(map(_unit, value["units"].values()))
    )


def _serving(port: t.Mapping[str, t.Any]) -> bool:
    return _texts(port.get("serves", [])) and _text(port.get("called", "")) and isinstance(port.get("terms", {}), dict)


def _unit(value: t.Any) -> bool:
    if not (_has(value, _UNIT) and _usage(value.get("usage")) and isinstance(value.get("last", False), bool)):
        return False
    checks = value.get("checks", [])
    if not (isinstance(checks, list) and all(_has(check, _CHECK) for check in checks)):
        return False
    return all(key in value and isinstance(value[key], (kind, type(None))) for key, kind in _PERHAPS.items())


def _mesh(value: t.Any) -> bool:
    """What groups serve and call, and their pods: mesh/known.py. What is in it, home/mesh.py looks at."""
    return _has(value, {"digest": str, "serves": list, "calls": list, "pods": list})


def _numbers(value: t.Any) -> bool:
    """Which ports are which, and which addresses pods have, by group: judge/choice.py. An address is called as its instance alone."""
    lowest, highest = CHOSEN
    return isinstance(value, dict) and all(
        isinstance(called, dict)
        and all(isinstance(n, int) and (lowest <= n <= highest if " " in name else 0 <= n < 2**32) for name, n in called.items())
        for called in value.values()
    )


_FAILURE = {"errors": _texts}
_PREPARED = {
    "steps": _texts,
    "diff": _mappings,
    "missing": _texts,
    "needed": _texts,
    "goes": _going,
    "before": _before,
    "summary": _summary,
    "follows": _follows,
    "holds": _texts,
    "notices": _texts,
}
_SWITCHED = {
    "changes": _texts,
    "groups": _text_by_name,
    "units": _text_by_name,
    "notices": _texts,
    "restored": _texts,
    "undone": _texts,
    "committed": _texts,
    "errors": _texts,
    "rest": _text,
}
_OK: t.Mapping[str, t.Mapping[str, Shape]] = {
    "probe": {"capabilities": _text_by_name, "mesh": _mesh},
    "status": {"jobs": _jobs, "idle": _texts, "unread": _texts},
    "info": {"taskgroups": _mappings, "unread": _texts},
    "textfile": {"changed": lambda value: isinstance(value, bool)},
    "ended": {"finished": lambda value: isinstance(value, int)},
    "held": {"units": _texts},
    "tell": {"changes": _texts, "follows": _follows, "diff": _mappings, "notices": _texts, "mesh": _mesh},
    "take": {"at": lambda value: isinstance(value, int) and value >= 0},
}
# What an answer of each status must have; whatever else has one of these names must have its shape too.
_REQUIRED: t.Mapping[str, t.Mapping[str, Shape]] = {
    "refused": _FAILURE,
    "failed": _FAILURE,
    "pending": {"release": _text},
    "unchanged": {},
    "plan-needed": {},
    "stale": {"capabilities": _text_by_name},
    "staged": {**_PREPARED, "release": _text},
    "recorded": _PREPARED,
    "lacking": _PREPARED,
    "planned": _PREPARED,
    "running": {"progress": _text},
    "committed": _SWITCHED,
    "rolled-back": _SWITCHED,
}
_OPTIONAL: t.Mapping[str, Shape] = {
    **_PREPARED,
    **_SWITCHED,
    "release": _text,
    "progress": _text,
    "ports": _numbers,
    "mesh": _mesh,
    "has": _texts,
}
# And what says nothing without the others.
_BESIDE: t.Mapping[str, Shape] = {"status": _text, "op": _text, "busy": _perhaps_text, "interrupted": _perhaps_text, "unclaimed": _texts}
_FAILURES = ("refused", "failed")
# More is no time, number or size.
_LARGEST = 2**64
# What has contents of files, or is kept. All else may be printed, behind the robot's name.
_AS_IT_IS = ("diff", "follows", "mesh")
# By request, the answers beside `refused` and `failed`.
_STATUSES: t.Mapping[str, t.Sequence[str]] = {
    "prepare": ("unchanged", "plan-needed", "stale", "pending", "staged", "recorded", "lacking", "planned"),
    "switch": ("pending", "committed", "rolled-back"),
    "poll": ("pending", "stale", "staged", "recorded", "lacking", "committed", "rolled-back"),
    "probe": ("ok",),
    "status": ("ok",),
    "info": ("ok",),
    "textfile": ("ok",),
    "ended": ("running", "ok"),
    "held": ("ok",),
    "take": ("ok",),
    "tell": ("ok",),
}


def checked(operation: str, answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """The answer to a request, if it is one, with nothing in its texts that a terminal would act on. Raises `Strange`."""
    strange = f"the robot's answer to {operation} is not one that its engine gives"
    status = answer.get("status")
    if not isinstance(status, str) or status not in (*_STATUSES[operation], *_FAILURES):
        raise Strange(f"{strange}: status {harmless(repr(status))[:100]}")
    required = _OK[operation] if status == "ok" else _REQUIRED[status]
    known = {**required, **_OPTIONAL, **_BESIDE, **required}
    for key, shape in known.items():
        if (key in required or key in answer) and not shape(answer.get(key)):
            raise Strange(f"{strange}: {status}, but {key} is missing or malformed")
    try:
        return {key: _harmless(answer[key], harmless if key in _AS_IT_IS else _hung) for key in known if key in answer}
    except OverflowError:
        raise Strange(f"{strange}: {status}, with a number that is none") from None


def harmless(text: str) -> str:
    """A text without control characters and what else a terminal acts on; its lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _hung(text: str) -> str:
    """The same, and its further lines stand below its first one: a robot cannot print what looks like a line of Ansible, or of another
    robot.
    """
    first, *more = harmless(text).split("\n")
    return "\n".join([first, *(line if not line or line.startswith((" ", "\t")) else f"    {line}" for line in more)])


def _harmless(value: t.Any, text: t.Callable[[str], str]) -> t.Any:
    """A part of an answer, with ``text`` made of each of its texts. Raises `OverflowError`."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_harmless(item, text) for item in value]
    if isinstance(value, dict):
        return {harmless(key): _harmless(item, text) for key, item in value.items()}
    if isinstance(value, (int, float)) and not abs(value) < _LARGEST:
        raise OverflowError
    return value
