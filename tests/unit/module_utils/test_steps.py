# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: from what is, what should be and what was, to the steps; no robot needed."""

from __future__ import annotations

import hashlib

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import steps
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds

RUNNING = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NeedDaemonReload": "no"}
DEAD = {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "NeedDaemonReload": "no"}


def digest(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:8]


def by_digest(resource):
    return dict({key: value for key, value in resource.items() if key != "content"}, digest=digest(resource["content"]))


USER = plan.user("k8s4r-a", "a")
DIRECTORY = plan.directory("/etc/k8s4r/groups/a")
DATA = plan.directory("/var/lib/k8s4r/tasks/a", "k8s4r-a", "k8s4r-a", "0750", data=True)
PARENT = plan.directory("/var/lib/k8s4r/groups/a")
ENV = by_digest(plan.file("/etc/k8s4r/groups/a/env", "A=1"))
NEW_ENV = by_digest(plan.file("/etc/k8s4r/groups/a/env", "A=2"))
UNIT = by_digest(plan.unit("k8s4r-task-a.service", "unit", run="always", reads=[ENV["path"]]))
TARGET = by_digest(plan.unit("k8s4r-group-a.target", "target", run="always"))
ALL = [USER, DIRECTORY, DATA, ENV, UNIT, TARGET]


def between(wanted, old=(), there=None, units=None, started=None, **options):
    """The steps; by default ``old`` is exactly what is there, and runs."""
    there = list(old) if there is None else there
    seen = dict.fromkeys(map(kinds.place, [*wanted, *old]))
    seen.update({kinds.place(resource): kinds.expected(resource) for resource in there})
    names = [resource["name"] for resource in there if resource["kind"] == "unit"]
    units = dict(dict.fromkeys(names, RUNNING), **(units or {}))
    started = steps.run_digests(list(old), digest) if started is None else started
    return steps.between(list(wanted), list(old), seen, units, started, digest, **options)


def verbs(found):
    return [step["do"] for step in found]


def texts(found):
    return [step["text"] for step in found if step["text"]]


def test_nothing_to_do():
    found = between(ALL, ALL)
    assert verbs(found) == ["commit"]
    assert steps.idle(found)


def test_everything_from_nothing_in_the_order_of_the_plan():
    found = between(ALL)
    assert verbs(found) == ["make"] * 6 + ["reload", "clear", "restart", "start", "healthy", "commit"]
    assert [step["resource"] for step in found if step["do"] == "make"] == ALL
    assert texts(found)[-2:] == ["start k8s4r-task-a.service", "start k8s4r-group-a.target"]


def test_a_changed_file_restarts_who_reads_it_and_needs_no_reload():
    other = by_digest(plan.unit("k8s4r-task-b.service", "unit", run="always"))
    found = between([*ALL[:3], NEW_ENV, UNIT, TARGET, other], [*ALL, other])
    assert texts(found) == ["change file /etc/k8s4r/groups/a/env (content)", "restart k8s4r-task-a.service"]
    assert "reload" not in verbs(found)


def test_a_changed_mode_restarts_nothing():
    found = between([*ALL[:3], dict(ENV, mode="0600"), UNIT, TARGET], ALL)
    assert texts(found) == ["change file /etc/k8s4r/groups/a/env (mode)"]


def test_a_file_that_somebody_else_changed_restarts_its_readers():
    there = [NEW_ENV if resource is ENV else resource for resource in ALL]
    assert "restart k8s4r-task-a.service" in texts(between(ALL, ALL, there))


def test_a_start_that_was_not_recorded_is_done_again():
    assert texts(between(ALL, ALL, started={})) == ["restart k8s4r-task-a.service", "start k8s4r-group-a.target"]


def test_what_is_down_is_started():
    found = between(ALL, ALL, units={UNIT["name"]: DEAD})
    assert texts(found) == ["start k8s4r-task-a.service"]
    crashing = dict(RUNNING, ActiveState="activating", SubState="auto-restart")
    assert texts(between(ALL, ALL, units={UNIT["name"]: crashing})) == ["start k8s4r-task-a.service"]
    starting = dict(RUNNING, ActiveState="activating", SubState="start-pre")
    assert steps.idle(between(ALL, ALL, units={UNIT["name"]: starting}))


def test_a_unit_that_has_run_once_stays_down():
    once = dict(UNIT, run="once", done="/var/lib/k8s4r/groups/a/done")
    assert steps.idle(between([ENV, once], [ENV, once], units={once["name"]: dict(DEAD, finished=True)}))
    assert texts(between([ENV, once], [ENV, once], units={once["name"]: dict(DEAD, finished=False)})) == ["start k8s4r-task-a.service"]
    again = between([NEW_ENV, once], [ENV, once], units={once["name"]: dict(DEAD, finished=True)})
    assert "start k8s4r-task-a.service" in texts(again)


def test_a_target_is_never_restarted():
    changed = dict(TARGET, digest="other")
    found = between([*ALL[:5], changed], ALL)
    assert verbs(found) == ["make", "reload", "clear", "start", "healthy", "commit"]


def test_a_slice_is_only_written():
    slice_ = by_digest(plan.unit("k8s4r-a.slice", "slice"))
    assert verbs(between([slice_], [dict(slice_, digest="other")])) == ["make", "reload", "healthy", "commit"]


def test_removal_is_the_way_in_reversed_and_behind_the_commit():
    found = between([], ALL)
    assert verbs(found) == ["stop", "healthy", "commit"] + ["remove"] * 6 + ["reload", "pruned"]
    assert [step["resource"] for step in found if step["do"] == "remove"] == ALL[::-1]
    commit = next(step for step in found if step["do"] == "commit")
    assert commit["leftovers"] == ALL[::-1]
    assert found[-1]["leftovers"] == []


def test_the_old_is_stopped_before_the_new_starts_and_removed_after_it_is_healthy():
    new = by_digest(plan.unit("k8s4r-task-new.service", "unit", run="always"))
    found = verbs(between([*ALL[:3], new, TARGET], ALL))
    assert found.index("stop") < found.index("restart") < found.index("healthy") < found.index("commit") < found.index("remove")


def test_kept_data_keeps_its_user_and_the_directories_above():
    deeper = dict(DATA, path="/var/lib/k8s4r/groups/a/alloc")
    found = between([], [USER, DIRECTORY, PARENT, deeper, ENV], keep_data=True)
    assert [step["resource"] for step in found if step["do"] == "remove"] == [ENV, DIRECTORY]
    assert found[-1]["leftovers"] == [deeper, PARENT, USER]


def test_a_spared_leftover_stays_one():
    found = between([], [USER, DATA, ENV], spared=[USER, DATA])
    assert [step["resource"] for step in found if step["do"] == "remove"] == [ENV]
    assert found[-1]["leftovers"] == [DATA, USER]


def test_a_leftover_that_is_gone_already_is_not_removed():
    assert verbs(between([], [DATA, ENV], there=[])) == ["commit"]


def test_members_are_united_while_other_files_change():
    clusters = by_digest(plan.file("/etc/k8s4r/groups/a/cds.json", "1", union="resources"))
    new = dict(clusters, digest="2")
    assert verbs(between([new, NEW_ENV], [clusters, ENV])) == ["union", "make", "make", "healthy", "commit"]
    assert verbs(between([new, ENV], [clusters, ENV])) == ["make", "healthy", "commit"]
    assert verbs(between([clusters, ENV])) == ["make", "make", "healthy", "commit"]


def test_a_reload_that_did_not_happen_is_made_up_for():
    stale = dict(RUNNING, NeedDaemonReload="yes")
    assert texts(between(ALL, ALL, units={UNIT["name"]: stale})) == ["reload systemd's units"]
