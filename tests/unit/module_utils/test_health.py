# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the units of a group do well after a switch, from what systemd says of them."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import health

NOW = 1000.0
"""The robot's uptime in the tests of health; systemd gives times in microseconds of the same clock."""


def values(**more):
    found = {"ActiveState": "active", "Result": "success", "NRestarts": "0", "Job": "0", "ActiveEnterTimestampMonotonic": "1"}
    return dict(found, **more)


def watch(run="always", restarts=0, done=None):
    return health.Watch(plan.unit("u", "", run=run, done=done), restarts)


JUST_NOW = values(ActiveEnterTimestampMonotonic="999000000")
CRASHING = values(ActiveState="activating", SubState="auto-restart")


@pytest.mark.parametrize(
    ("run", "shown", "verdict"),
    [
        ("always", values(), health.Verdict.HEALTHY),
        ("always", JUST_NOW, health.Verdict.WAITING),
        ("always", values(Job="17", ActiveState="inactive"), health.Verdict.WAITING),
        ("always", values(ActiveState="inactive"), health.Verdict.FAILED),
        ("always", values(ActiveState="failed"), health.Verdict.FAILED),
        ("always", CRASHING, health.Verdict.WAITING),
        ("always", values(NRestarts="3"), health.Verdict.FAILED),
        ("always", dict(CRASHING, NRestarts="3"), health.Verdict.FAILED),
        ("always", dict(JUST_NOW, NRestarts="3"), health.Verdict.WAITING),
        ("always", dict(JUST_NOW, NRestarts="6"), health.Verdict.FAILED),
        ("init", JUST_NOW, health.Verdict.HEALTHY),
        ("init", values(ActiveState="inactive"), health.Verdict.FAILED),
        ("once", JUST_NOW, health.Verdict.HEALTHY),
        ("once", values(ActiveState="inactive"), health.Verdict.HEALTHY),
        ("once", values(ActiveState="inactive", Result="exit-code"), health.Verdict.FAILED),
    ],
)
def test_health(run, shown, verdict):
    assert watch(run).verdict(shown, NOW) is verdict


def test_patience_ends():
    watched = watch()
    assert watched.verdict(CRASHING, NOW) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + health.LONGEST_PENDING) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + health.LONGEST_PENDING + 1) is health.Verdict.FAILED


def test_patience_begins_again_when_systemd_has_a_job_for_the_unit():
    watched = watch()
    watched.verdict(CRASHING, NOW)
    assert watched.verdict(values(Job="17"), NOW + 14) is health.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + 16) is health.Verdict.WAITING


def test_restarts_before_the_watch_do_not_count():
    assert watch(restarts=3).verdict(values(NRestarts="3"), NOW) is health.Verdict.HEALTHY


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        ("inactive", health.Verdict.FAILED, health.Verdict.HEALTHY),
        ("deactivating", health.Verdict.WAITING, health.Verdict.HEALTHY),
        ("failed", health.Verdict.FAILED, health.Verdict.FAILED),
    ],
)
def test_a_unit_that_runs_once_has_run_when_its_file_is_there(tmp_path, state, before, after):
    done = tmp_path / "done"
    shown = values(ActiveState=state, Result="exit-code")
    watched = watch("once", done=str(done))
    assert watched.verdict(shown, NOW) is before
    done.touch()
    assert watched.verdict(shown, NOW) is after


def test_how_a_unit_ended():
    shown = values(ActiveState="failed", SubState="failed", Result="exit-code", ExecMainCode="1", ExecMainStatus="7")
    assert health.describe(shown) == "failed (failed), result exit-code, exit status 7"
    assert health.describe({"LoadState": "not-found"}) == "there is no such unit"
