# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot that is broken or hostile may answer anything: it is a `Strange` answer, and never a traceback."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.show import services, table
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import answers

_USAGE = {"cpu": {"percent": 7.4, "limit": None}, "memory": {"current": 3, "limit": None, "oom_kills": 0}}
_UNIT = {
    "called": "r0 web", "well": True, "done": False, "run": "always", "state": "active", "sub": "running", "restarts": 0,
    "usage": _USAGE, "seconds": 5, "how": None, "last": False,
    "checks": [{"name": "ready", "status": "passing", "said": "HTTP 200"}],
}  # fmt: skip
_GROUP = {
    "name": "default/shop/web",
    "kept": ["a directory"],
    "calls": ["default/shop/api/http"],
    "ports": [{"address": "127.0.0.1", "port": 5432, "serves": ["default/shop/web/http"], "called": "r0 http", "terms": {}}],
    "silent": [{"address": "127.0.0.1", "port": 80}],
    "lacks": [{"path": "/dev/video0", "what": "device"}],
    "pods": [{"instance": 0, "address": "10.0.0.2"}],
    "usage": _USAGE,
    "units": {"k8s4r-task-web.service": _UNIT},
}
_PREPARED = {
    "status": "staged",
    "release": "1",
    **{key: ["a text"] for key in ("steps", "missing", "needed", "holds", "notices", "has")},
    "diff": [{"before": "", "after": ""}],
    "goes": {"id": {"name": "web", "whole": True, "units": ["r0 web"], "data": 0, "kept": 0}},
    "before": [{"state": "absent", "plan": ""}],
    "summary": [{"group": "web", "unit": "r0 web", "does": "restart", "why": ["env SPEED"], "fetched": False}],
    "follows": {"/etc/k8s4r/endpoints.json": {"group": "default/front/web", "follows": "default/shop/web/http", "before": ""}},
    "ports": {"id": {"r0 http": 20000}},
    "mesh": {"digest": "d", "serves": [], "calls": [], "pods": []},
}
SANE = {
    "status": {"status": "ok", "idle": [], "unread": [], "jobs": [{"name": "shop", "groups": {"default/shop/web": _GROUP}}]},
    "probe": {"status": "ok", "capabilities": {"arch": "amd64"}, "mesh": {"digest": "d", "serves": [], "calls": [], "pods": []}},
    "prepare": _PREPARED,
}
ANYTHING: tuple[t.Any, ...] = (None, True, 0, -1.5, "text", [], [0], [None], ["text"], [[]], [{}], {}, {"text": 0}, {"text": None})


def _paths(value: t.Any) -> t.Iterator[tuple[t.Any, ...]]:
    """All places in an answer, from the outside in."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (key,)
        yield from ((key, *path) for path in _paths(member))


def _with(answer: dict[str, t.Any], path: tuple[t.Any, ...], value: t.Any) -> dict[str, t.Any]:
    changed = copy.deepcopy(answer)
    *way, last = path
    place: t.Any = changed
    for key in way:
        place = place[key]
    place[last] = value
    return changed


@pytest.mark.parametrize("operation", SANE)
def test_an_answer_with_anything_anywhere_is_sane_or_strange(operation):
    assert answers.checked(operation, SANE[operation]) == SANE[operation]
    for path in _paths(SANE[operation]):
        for value in ANYTHING:
            try:
                sane = answers.checked(operation, _with(SANE[operation], path, value))
            except answers.Strange:
                continue
            if operation == "status":
                # What passes can be shown.
                table.overview({"robot": sane})
                services.services({"robot": sane}, {})


def test_what_a_unit_is_called_is_told():
    where = ("jobs", 0, "groups", "default/shop/web", "units", "k8s4r-task-web.service", "called")
    with pytest.raises(answers.Strange, match="jobs is missing or malformed"):
        answers.checked("status", _with(SANE["status"], where, 0))


@pytest.mark.parametrize("operation", SANE)
def test_what_no_engine_says_is_dropped_since_ansible_takes_some_of_it_for_orders(operation):
    orders = {"add_host": {"host_name": "other"}, "ansible_facts": {"k8s4r_labels": {}}, "_ansible_no_log": True, "failed": True}
    assert answers.checked(operation, {**SANE[operation], **orders}) == SANE[operation]


@pytest.mark.parametrize("name", ["group", "follows"])
@pytest.mark.parametrize("forged", ["web", "", "default/shop/web/http\n\nPLAY RECAP ***", "default/shop/web\nrobot2: all is well"])
def test_what_names_a_group_or_a_service_in_warnings_is_a_name(name, forged):
    with pytest.raises(answers.Strange, match="follows is missing or malformed"):
        answers.checked("prepare", _with(_PREPARED, ("follows", "/etc/k8s4r/endpoints.json", name), forged))


def test_what_was_rendered_may_follow_several_services():
    several = _with(_PREPARED, ("follows", "/etc/k8s4r/endpoints.json", "follows"), "default/shop/web/http other/shop/web/grpc")
    assert answers.checked("prepare", several) == several


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**64, float("inf"), float("nan")])
def test_a_number_that_is_none_is_strange(number):
    where = ("jobs", 0, "groups", "default/shop/web", "usage", "memory", "current")
    with pytest.raises(answers.Strange, match="with a number that is none"):
        answers.checked("status", _with(SANE["status"], where, number))
