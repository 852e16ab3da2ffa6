# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is down while an instance loses a hook, or a timer its file: in which order it stops, and that it comes up again."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps.between import between
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps.situation import Situation, holdings, run_digests, stops
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds

UP = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NeedDaemonReload": "no"}
DOWN = {**UP, "ActiveState": "inactive", "SubState": "dead"}


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def unit(name, run="always", called="", **more):
    made = plan.unit(f"k8s4r-task-{name}", "unit", run=run, called=called or f"r0 {name.partition('.')[0]}")
    return {**made, "digest": digest(made.pop("content")), **more}


PARK, DOCK, APP = unit("park.service", "hook"), unit("dock.service", "hook"), unit("app.service")
OTHER = unit("other.service", called="r1 app")


def names(verb, wanted, old, seen=None, down=()):
    """The units of all steps of a verb, where all runs that is in `old`, but for those that are `down`."""
    there = {kinds.place(each): kinds.expected(each) for each in old}
    units = {each["name"]: DOWN if each in down else UP for each in old}
    seen = {**dict.fromkeys(map(kinds.place, [*wanted, *old])), **there, **(seen or {})}
    started = run_digests(old, digest)
    situation = Situation(wanted, old, seen, units, [], started, {}, {}, holdings(old), stops(old))
    return [
        name.removeprefix("k8s4r-task-").partition(".")[0]
        for step in between(situation, digest)
        if step["do"] == verb
        for name in step["units"]
    ]


def test_an_instance_that_loses_a_hook_stops_before_it_and_starts_again():
    assert names("halt", [APP, OTHER], [PARK, APP, OTHER]) == ["app", "park"]
    # Although nothing else of it has changed.
    assert names("start", [APP, OTHER], [PARK, APP, OTHER]) == ["app"]


def test_a_hook_that_only_a_failed_release_has_is_the_last_one_to_stop():
    assert names("halt", [PARK, APP], [PARK, APP, DOCK]) == ["app", "park", "dock"]


def test_a_hook_that_is_down_and_only_left_over_stops_nobody():
    assert names("halt", [APP], [PARK, APP], down=[PARK]) == []


@pytest.mark.parametrize("differs", ["mode", "content"])
def test_a_timer_is_down_while_its_file_changes_and_up_again_afterwards(differs):
    timer = unit("run.timer", called="schedule")
    place = kinds.place(timer)
    seen = {place: {**kinds.expected(timer), differs: "other"}}
    assert (names("halt", [timer], [timer], seen), names("start", [timer], [timer], seen)) == (["run"], ["run"])
    assert names("halt", [timer], [timer]) == []


@pytest.mark.parametrize(("before", "after"), [("own SIGINT main 60 10", "own SIGTERM main 5 0"), ("own SIGTERM main 5 0", "poststop")])
def test_what_is_to_be_asked_to_end_otherwise_is_stopped_by_the_unit_that_started_it(before, after):
    old, new = unit("app.service", stops=before), unit("app.service", digest="new", stops=after)
    assert names("halt", [new], [old]) == ["app"]
    # As an older engine has noted it: only what starts again anyway is stopped for that.
    assert names("halt", [unit("app.service", stops=after)], [old]) == []


def test_what_is_asked_as_before_stops_by_its_new_unit():
    old, new = unit("app.service", stops="own"), unit("app.service", stops="own", digest="new")
    assert (names("halt", [new], [old]), names("down", [new], [old])) == ([], ["app"])


def test_an_instance_that_is_one_whole_stops_in_its_order_also_where_only_its_last_hook_has_to():
    """The hook would park a robot that its main task drives on."""
    places = [kinds.place(PARK), kinds.place(APP)]
    park, app = ({**each, "reads": places} for each in (PARK, APP))
    changed = {**park, "digest": "new", "stops": "other"}
    assert names("halt", [changed, app, OTHER], [park, app, OTHER]) == ["app", "park"]
    assert set(names("start", [changed, app, OTHER], [park, app, OTHER])) == {"park", "app"}


def test_what_starts_anew_with_a_daemon_leaves_it_alone_otherwise():
    daemon = unit("dae.service", called="init dae")
    app = unit("app.service", reads=[kinds.place(daemon)])
    changed = {**daemon, "digest": "new"}
    assert names("down", [changed, app], [daemon, app]) == ["app", "dae"]
    assert names("down", [daemon, {**app, "digest": "new"}], [daemon, app]) == ["app"]


def test_tasks_stop_before_a_daemon_that_has_to_stop_early():
    daemon = unit("dae.service", called="init dae", stops="host SIGTERM")
    app = unit("app.service", reads=[kinds.place(daemon)])
    changed = {**daemon, "digest": "new", "stops": "host SIGINT"}
    assert (names("halt", [changed, app], [daemon, app]), names("start", [changed, app], [daemon, app])) == (["app", "dae"], ["dae", "app"])
