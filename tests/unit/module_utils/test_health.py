# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the units of a group do well after a switch, from what systemd says of them."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.health import verdicts, wait

NOW = 1000.0
"""The robot's uptime in the tests of health; systemd gives times in microseconds of the same clock."""


def values(**more):
    found = {"ActiveState": "active", "Result": "success", "NRestarts": "0", "Job": "0", "ActiveEnterTimestampMonotonic": "1"}
    return dict(found, **more)


def watch(run="always", restarts=0, done=None):
    return verdicts.Watch(plan.unit("u", "", run=run, done=done), restarts)


JUST_NOW = values(ActiveEnterTimestampMonotonic="999000000")
CRASHING = values(ActiveState="activating", SubState="auto-restart")


@pytest.mark.parametrize(
    ("run", "shown", "verdict"),
    [
        ("always", values(), verdicts.Verdict.HEALTHY),
        ("always", JUST_NOW, verdicts.Verdict.WAITING),
        ("always", values(Job="17", ActiveState="inactive"), verdicts.Verdict.WAITING),
        ("always", values(ActiveState="inactive"), verdicts.Verdict.FAILED),
        ("always", values(ActiveState="failed"), verdicts.Verdict.FAILED),
        ("always", CRASHING, verdicts.Verdict.WAITING),
        ("always", values(NRestarts="3"), verdicts.Verdict.FAILED),
        ("always", dict(CRASHING, NRestarts="3"), verdicts.Verdict.FAILED),
        ("always", dict(JUST_NOW, NRestarts="3"), verdicts.Verdict.WAITING),
        ("always", dict(JUST_NOW, NRestarts="6"), verdicts.Verdict.FAILED),
        ("init", JUST_NOW, verdicts.Verdict.HEALTHY),
        ("init", values(ActiveState="inactive"), verdicts.Verdict.FAILED),
        ("hook", JUST_NOW, verdicts.Verdict.HEALTHY),
        ("hook", values(ActiveState="inactive"), verdicts.Verdict.FAILED),
        ("hook", values(ActiveState="failed"), verdicts.Verdict.FAILED),
        ("once", JUST_NOW, verdicts.Verdict.HEALTHY),
        # It may still turn out that its program cannot be run.
        ("once", values(ActiveEnterTimestampMonotonic="999500000"), verdicts.Verdict.WAITING),
        ("once", values(ActiveState="inactive"), verdicts.Verdict.HEALTHY),
        ("once", values(ActiveState="inactive", Result="exit-code"), verdicts.Verdict.FAILED),
    ],
)
def test_health(run, shown, verdict):
    assert watch(run).verdict(shown, NOW) is verdict


@pytest.mark.parametrize(("restarts", "lived", "verdict"), [
    ("0", 0.001, verdicts.Verdict.HEALTHY), ("7", 0.001, verdicts.Verdict.HEALTHY), ("0", None, verdicts.Verdict.FAILED),
])  # fmt: skip
def test_a_unit_that_is_tried_without_limit_may_fail_but_not_lack_its_program(restarts, lived, verdict):
    status = "4" if lived else "203"
    shown = dict(CRASHING, NRestarts=restarts, ExecMainCode="1", ExecMainStatus=status, ExecMainStartTimestampMonotonic="2000000")
    assert verdicts.Watch(plan.unit("u", "", run="once", endless=True)).verdict(shown, NOW) is verdict


@pytest.mark.parametrize("run", ["always", "hook", "once"])
@pytest.mark.parametrize("result", ["success", "exit-code", "timeout"])
def test_a_unit_whose_work_is_done_does_well_however_it_ended(run, result, tmp_path):
    """When a leader has run to its end, the others are stopped; one may have to be killed, and the last hook may fail."""
    shown = values(ActiveState="inactive" if result == "success" else "failed", Result=result, ExecMainCode="1", ExecMainStatus="127")
    assert watch(run, done=str(tmp_path)).verdict(shown, NOW) is verdicts.Verdict.HEALTHY
    assert watch("hook", done=str(tmp_path / "none")).verdict(shown, NOW) is verdicts.Verdict.FAILED


@pytest.mark.parametrize(
    ("restarts", "lasted", "status", "verdict"),
    [
        ("0", 0.1, "0", verdicts.Verdict.WAITING),
        ("1", 0.1, "0", verdicts.Verdict.FAILED),
        # It may lack something, or had something to do.
        ("1", 0.1, "7", verdicts.Verdict.WAITING),
        ("1", 2.5, "0", verdicts.Verdict.WAITING),
    ],
)
def test_a_service_that_ends_well_at_once_again_and_again_is_not_waited_for(restarts, lasted, status, verdict):
    ended = dict(CRASHING, NRestarts=restarts, ExecMainCode="1", ExecMainStatus=status, Result="success" if status == "0" else "exit-code")
    ended.update(ExecMainStartTimestampMonotonic="990000000", ExecMainExitTimestampMonotonic=str(int(990e6 + lasted * 1e6)))
    assert watch().verdict(ended, NOW) is verdict


def test_patience_ends():
    watched = watch()
    assert watched.verdict(CRASHING, NOW) is verdicts.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + verdicts.LONGEST_PENDING) is verdicts.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + verdicts.LONGEST_PENDING + 1) is verdicts.Verdict.FAILED


def test_tries_are_waited_for_as_long_as_the_restart_policy_says():
    watched = verdicts.Watch(plan.unit("u", "", run="always", pause=30.0))
    assert watched.verdict(CRASHING, NOW) is verdicts.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + verdicts.LONGEST_PENDING + 90) is verdicts.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + verdicts.LONGEST_PENDING + 91) is verdicts.Verdict.FAILED
    endless = verdicts.Watch(plan.unit("u", "", run="always", pause=36000.0, deadline=60.0))
    endless.verdict(CRASHING, NOW)
    assert endless.verdict(CRASHING, NOW + verdicts.LONGEST_PENDING + 61) is verdicts.Verdict.FAILED


def test_patience_begins_again_when_systemd_has_a_job_for_the_unit():
    watched = watch()
    watched.verdict(CRASHING, NOW)
    assert watched.verdict(values(Job="17"), NOW + 14) is verdicts.Verdict.WAITING
    assert watched.verdict(CRASHING, NOW + 16) is verdicts.Verdict.WAITING


def ended(status, lived=0.1, up=True, **more):
    """A unit whose program ended just now and that waits for its next try."""
    began, exited = NOW - 1 - lived, NOW - 1
    times = {
        "ExecMainStartTimestampMonotonic": began,
        "ExecMainExitTimestampMonotonic": exited,
        "ActiveEnterTimestampMonotonic": began + 0.01 if up else 1,
    }
    shown = {name: str(int(seconds * 1e6)) for name, seconds in times.items()}
    return dict(CRASHING, ExecMainCode="1", ExecMainStatus=str(status), Result="exit-code", **shown, **more)


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        pytest.param(ended(203, up=False), verdicts.Verdict.FAILED, id="systemd cannot execute it"),
        pytest.param(ended(217, up=False, lived=5), verdicts.Verdict.FAILED, id="nor on a slow robot"),
        pytest.param(ended(203, up=False, Job="17"), verdicts.Verdict.WAITING, id="systemd is just starting it"),
        pytest.param(ended(226, up=False), verdicts.Verdict.WAITING, id="its mounts may have met those of another unit"),
        pytest.param(ended(226, up=False, NRestarts="1"), verdicts.Verdict.FAILED, id="and not twice"),
        pytest.param(ended(203), verdicts.Verdict.WAITING, id="the program itself ended with 203"),
        pytest.param(ended(127), verdicts.Verdict.FAILED, id="a shell does not find it"),
        pytest.param(ended(126), verdicts.Verdict.FAILED, id="a shell cannot execute it"),
        pytest.param(ended(127, lived=1.5), verdicts.Verdict.WAITING, id="it ran before"),
        pytest.param(ended(125), verdicts.Verdict.WAITING, id="another status"),
    ],
)
def test_what_can_never_start_is_not_waited_for(shown, verdict):
    assert watch().verdict(shown, NOW) is verdict


def test_restarts_before_the_watch_do_not_count():
    assert watch(restarts=3).verdict(values(NRestarts="3"), NOW) is verdicts.Verdict.HEALTHY


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        ("inactive", verdicts.Verdict.FAILED, verdicts.Verdict.HEALTHY),
        ("deactivating", verdicts.Verdict.WAITING, verdicts.Verdict.HEALTHY),
        ("failed", verdicts.Verdict.FAILED, verdicts.Verdict.HEALTHY),
    ],
)
def test_a_unit_that_runs_once_has_run_when_its_file_is_there(tmp_path, state, before, after):
    done = tmp_path / "done"
    shown = values(ActiveState=state, Result="exit-code")
    watched = watch("once", done=str(done))
    assert watched.verdict(shown, NOW) is before
    done.touch()
    assert watched.verdict(shown, NOW) is after


class Checked:
    """A unit with a check, whose states a test sets."""

    def __init__(self, monkeypatch, **more):
        self.state = {"status": "critical", "since": 0.0, "at": 0.0, "said": "HTTP 503", "output": "ill"}
        self.started = []
        monkeypatch.setattr(verdicts.states, "of", self._of)
        unit = plan.unit("u", "", run=more.pop("run", "always"), checks=f"{plan.CHECKS}/t", **more)
        self.watch = verdicts.Watch(unit, checked=True)

    def _of(self, _path, started):
        self.started.append(started)
        return [({"name": "ready"}, self.state)]

    def verdict(self, now, shown=None, **state):
        self.state.update(state)
        return self.watch.verdict(shown or values(ActiveEnterTimestampMonotonic="7"), now)


def test_a_unit_is_healthy_when_its_checks_have_passed_for_a_while(monkeypatch):
    checked = Checked(monkeypatch)
    assert checked.verdict(NOW) is verdicts.Verdict.WAITING
    assert checked.watch.asks
    assert checked.verdict(NOW + 1, status="warning", at=NOW) is verdicts.Verdict.WAITING
    assert checked.verdict(NOW + 2, status="passing", since=NOW + 1) is verdicts.Verdict.WAITING
    # It must go on passing, and the robot's timer may not be there yet.
    assert checked.watch.asks
    assert checked.verdict(NOW + 3) is verdicts.Verdict.HEALTHY
    # Only what is of the unit's last start counts.
    assert set(checked.started) == {7}


def test_a_check_that_counts_as_passing_must_have_been_run(monkeypatch):
    checked = Checked(monkeypatch)
    assert checked.verdict(NOW, status="passing") is verdicts.Verdict.WAITING
    assert checked.watch.asks


def test_checks_have_time_until_the_deadline(monkeypatch):
    checked = Checked(monkeypatch, settles=20.0, deadline=60.0)
    assert checked.verdict(NOW) is verdicts.Verdict.WAITING
    assert checked.verdict(NOW + 59, status="passing", since=NOW + 40, at=NOW) is verdicts.Verdict.WAITING
    assert checked.verdict(NOW + 60) is verdicts.Verdict.HEALTHY
    assert checked.verdict(NOW + 60, status="critical") is verdicts.Verdict.FAILED
    assert checked.watch.failing == ["health check ready is critical: HTTP 503; its last answer: ill"]


def test_a_unit_that_is_down_fails_whatever_its_checks_said(monkeypatch):
    checked = Checked(monkeypatch)
    assert checked.verdict(NOW, values(ActiveState="failed"), status="passing", at=NOW) is verdicts.Verdict.FAILED


def test_a_check_that_had_no_turn_is_not_why_a_unit_is_down(monkeypatch):
    checked = Checked(monkeypatch)
    assert checked.verdict(NOW) is verdicts.Verdict.WAITING
    assert checked.watch.failing == ["health check ready has not been run yet"]
    assert checked.verdict(NOW, values(ActiveState="failed")) is verdicts.Verdict.FAILED
    assert checked.watch.failing == []


def test_nobody_waits_for_the_checks_of_a_task_that_ends(monkeypatch):
    assert Checked(monkeypatch, run="once").verdict(NOW) is verdicts.Verdict.HEALTHY


def test_how_long_a_unit_must_be_up_is_the_jobs_choice():
    long = verdicts.Watch(plan.unit("u", "", run="always", settles=20.0))
    assert long.verdict(values(ActiveEnterTimestampMonotonic="981000000"), NOW) is verdicts.Verdict.WAITING
    assert long.verdict(values(ActiveEnterTimestampMonotonic="979000000"), NOW) is verdicts.Verdict.HEALTHY


@pytest.mark.parametrize(
    ("shown", "due"),
    [
        (values(), 0.0),
        (values(ActiveEnterTimestampMonotonic="998500000"), 0.5),
        (dict(CRASHING), verdicts.UNKNOWN),
        (values(ActiveState="failed"), verdicts.UNKNOWN),
        (values(NRestarts="6", ActiveEnterTimestampMonotonic="1"), verdicts.UNKNOWN),
    ],
)
def test_a_unit_is_due_when_it_will_have_been_up_for_long_enough(shown, due):
    """A unit that has failed must not look due: nobody would pause between two looks."""
    watched = watch()
    watched.verdict(shown, NOW)
    assert watched.due == due


def test_checks_are_due_when_the_last_of_them_has_passed_for_long_enough(monkeypatch):
    checked = Checked(monkeypatch, settles=20.0)
    up = values(ActiveEnterTimestampMonotonic="990000000")
    checked.verdict(NOW, up)
    assert checked.watch.due == verdicts.UNKNOWN
    checked.verdict(NOW, up, status="passing", since=NOW - 5, at=NOW)
    assert checked.watch.due == 15.0


class Looks:
    """What systemd says of unit ``u`` at each look, and when: a clock that goes on only while somebody waits."""

    def __init__(self, monkeypatch, *shown, changes=()):
        self.shown, self.now, self.pauses, self.looks, self.changes = list(shown), NOW, [], 0, list(changes)
        monkeypatch.setattr(wait.systemd, "show", self._show)
        monkeypatch.setattr(wait.systemd, "changes", lambda _names: [self.changes.pop(0)] if self.changes else [])
        monkeypatch.setattr(wait.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(wait.time, "sleep", self._sleep)

    def _show(self, names):
        assert names == ["u"]
        self.looks += 1
        return {"u": self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]}

    def _sleep(self, seconds):
        self.pauses.append(round(seconds, 3))
        self.now += seconds

    def wait(self):
        wait.wait([plan.unit("u", "", run="always")], NOW, None)
        return self.pauses


def test_a_unit_that_is_up_is_looked_at_less_and_less_and_in_time(monkeypatch):
    up = values(ActiveEnterTimestampMonotonic=str(int(NOW * 1e6)), MainPID="7")
    pauses = Looks(monkeypatch, dict(up, MemoryCurrent="1"), dict(up, MemoryCurrent="2"), up).wait()
    assert pauses[:4] == [0.1, 0.15, 0.225, 0.338]
    assert max(pauses) == wait.LONGEST_INTERVAL
    assert sum(pauses) == pytest.approx(verdicts.STEADY, abs=0.01)


def test_where_nothing_has_changed_systemd_is_not_asked_for_all_of_it_again(monkeypatch):
    up = values(ActiveEnterTimestampMonotonic=str(int(NOW * 1e6)), MainPID="7")
    still = Looks(monkeypatch, up, changes=[5] * 99)
    assert (sum(still.wait()), still.looks) == (pytest.approx(verdicts.STEADY, abs=0.01), 1)
    # What it was at the second look is what it is compared with at the third.
    once = Looks(monkeypatch, up, up, changes=[5, 5, 6, *[6] * 99])
    once.wait()
    assert once.looks == 2
    queued = Looks(monkeypatch, dict(up, Job="7"), dict(up, Job="0"), changes=[5] * 99)
    queued.wait()
    assert queued.looks == 2


def test_one_that_ends_is_looked_at_often_again(monkeypatch):
    begun = values(ActiveEnterTimestampMonotonic=str(int(NOW * 1e6)), MainPID="7")
    again = dict(begun, MainPID="8", NRestarts="1")
    pauses = Looks(monkeypatch, begun, begun, begun, CRASHING, again, begun).wait()
    assert pauses[:6] == [0.1, 0.15, 0.225, 0.1, 0.1, 0.1]


def test_a_program_that_systemd_would_wait_for_without_end_is_given_up():
    hook = verdicts.Watch(plan.unit("u", "", run="hook"), patience=20.0)
    began = {"ActiveState": "activating", "Job": "7", "ExecMainStartTimestampMonotonic": str(int(NOW * 1e6))}
    begun = values(Type="oneshot", TimeoutStartUSec="infinity", **began)
    assert hook.verdict(begun, NOW + 19) is verdicts.Verdict.WAITING
    # One with a timeout of its own is systemd's to end, and who has not begun waits for another.
    assert hook.verdict(dict(begun, TimeoutStartUSec="1h"), NOW + 21) is verdicts.Verdict.WAITING
    assert hook.verdict(dict(begun, ActiveState="inactive"), NOW + 21) is verdicts.Verdict.WAITING
    assert hook.verdict(begun, NOW + 21) is verdicts.Verdict.FAILED
    assert hook.late
    assert hook.failing == ["has not ended within 20 s; give it a timeout, or raise update.healthyDeadline"]
    assert hook.due == verdicts.UNKNOWN


def test_who_waits_is_told_what_for(monkeypatch):
    hook = dict(plan.unit("u", "", run="always"), called="r0 prep")
    begun = values(ActiveState="activating", Type="oneshot", Job="7")
    shown = [begun, begun, values(ActiveEnterTimestampMonotonic="999999999999"), values()]
    monkeypatch.setattr(wait.systemd, "show", lambda _names: {"u": shown.pop(0)})
    monkeypatch.setattr(wait.systemd, "changes", lambda _names: [])
    monkeypatch.setattr(wait.time, "sleep", lambda _seconds: None)
    told = []
    wait.wait([hook], NOW, None, tell=told.append)
    # Who waits until a unit has been up for long enough is not told that it is not up.
    assert told == ["r0 prep (u) has not ended yet", ""]
