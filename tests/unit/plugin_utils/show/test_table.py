# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots run, as a person reads it."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.show import table


def usage(percent=None, memory=None, cores=None, limit=None, oom_kills=None):
    cpu = {"percent": percent, "limit": cores}
    return {"cpu": cpu, "memory": {"current": memory, "limit": limit, "oom_kills": oom_kills}}


NOTHING = usage()
NEXT = {
    "called": "r0 web", "well": True, "done": False, "run": "always", "state": "active", "sub": "running", "restarts": 0,
    "usage": usage(7.4, 3 * 2**20), "seconds": 11520, "how": None,
}  # fmt: skip
TARGET = {**NEXT, "called": "", "usage": None, "sub": "active"}
DOWN = {
    **NEXT,
    "well": False,
    "state": "failed",
    "sub": "failed",
    "usage": NOTHING,
    "seconds": 120,
    "how": "its program ended with exit status 7",
}
DONE = {**NEXT, "done": True, "run": "once", "state": "inactive", "sub": "dead", "usage": NOTHING, "seconds": 90000}
PORT = {"address": "127.0.0.1", "port": 5432}


def group(name="default/shop/web", **more):
    units = {"k8s4r-task-web.service": NEXT, "k8s4r-group-web.target": TARGET}
    found = {"name": name, "kept": [], "ports": [PORT], "silent": [], "lacks": [], "usage": usage(8.6, 3 * 2**20), "units": units}
    return {**found, **more}


def robot(*groups, job="shop", **more):
    jobs = [{"name": job, "groups": {each["name"]: each for each in groups}}] if groups else []
    return {"status": "ok", "busy": None, "interrupted": None, "idle": [], "unread": [], "jobs": jobs, **more}


def text(answers, **options):
    return "\n".join(table.overview(answers, **options))


def test_a_fleet_that_is_well_is_a_line_for_each_group():
    batch = group("night/maps/fetch", units={"k8s4r-task-fetch.service": DONE}, usage=NOTHING)
    assert table.overview({"work2": robot(group()), "work1": robot(group(), batch)}) == [
        "robot  group             state   for         cpu  memory   restarts",
        "work1  shop/web          1 up    3 h 12 min  9%   3.0 MiB",
        "       night/maps/fetch  1 done  1 d 1 h",
        "work2  shop/web          1 up    3 h 12 min  9%   3.0 MiB",
        "2 robots, 3 groups: nothing is wrong",
    ]


def test_what_is_to_move_away_has_its_line_though_it_is_well():
    leaves = {**NEXT, "called": "r1 web", "leaving": True}
    units = {"k8s4r-task-r1.service": leaves, "k8s4r-task-web.service": {**NEXT, "leaving": False}}
    lines = table.overview({"work1": robot(group(units=units))})
    assert [line.split()[:3] for line in lines[1:-1]] == [["work1", "shop/web", "2"], ["r1", "web", "up"]]
    assert lines[2].endswith("  is to move away; k8s4r-task-r1")
    units["k8s4r-task-r1.service"] = {**DOWN, "leaving": True}
    lines = table.overview({"work1": robot(group(units=units))})
    assert lines[2].endswith("  is to move away; its program ended with exit status 7; k8s4r-task-r1")
    assert lines[-1].endswith("1 thing is wrong")


def test_a_schedule_says_when_it_runs_next():
    timer = {**NEXT, "called": "schedule", "next": "2026-11-28T14:00:00Z"}
    (_head, line, _sum) = table.overview({"work1": robot(group(units={"k8s4r-run-web.timer": timer}))})
    assert line.endswith("  runs next at 2026-11-28T14:00:00Z")


def test_a_hook_that_is_over_or_to_come_and_what_starts_a_schedule_do_not_count_as_up():
    units = {
        "prestart": {**NEXT, "called": "r0 pre", "run": "init", "sub": "exited", "last": False},
        "poststop": {**NEXT, "called": "r0 stop", "run": "hook", "sub": "exited", "last": True},
        "task": NEXT,
        "timer": {**NEXT, "called": "schedule", "sub": "waiting"},
    }
    lines = table.overview({"work1": robot(group(units=units))}, job="shop")
    assert lines[1].split()[2:8] == ["1", "up,", "1", "waiting,", "1", "done"]
    words = {line[:17].strip(): line[17:].split()[0] for line in lines[2:-1]}
    assert words == {"r0 stop": "waits", "r0 pre": "done", "r0 web": "up", "schedule": "waits"}


BROKEN = group(
    units={"k8s4r-task-web.service": NEXT, "k8s4r-task-bad.service": {**DOWN, "called": "r0 bad"}, "k8s4r-group-web.target": TARGET}
)


def test_a_unit_that_is_down_has_a_line_with_the_reason_and_where_to_look():
    lines = table.overview({"work1": robot(BROKEN)})
    assert lines[1].split() == ["work1", "shop/web", "1", "OF", "2", "DOWN", "2", "min", "9%", "3.0", "MiB"]
    assert lines[2].split()[:5] == ["r0", "bad", "failed", "2", "min"]
    assert lines[2].endswith("its program ended with exit status 7; k8s4r-task-bad")
    assert lines[3] == "1 robot, 1 group: 1 thing is wrong"
    assert len(lines) == 4


def test_a_robot_that_is_off_stands_in_the_table():
    lines = table.overview({"work1": robot(group()), "work2": {"status": "off", "msg": "No route to host"}})
    assert lines[2].split() == ["work2", "OFF", "No", "route", "to", "host"]
    assert lines[3] == "2 robots, 1 group: 1 thing is wrong"


@pytest.mark.parametrize(
    ("answer", "state"), [({"status": "wrong", "msg": "no Python 3"}, "WRONG"), ({"unreachable": True, "msg": "no route"}, "OFF")]
)
def test_a_robot_that_cannot_tell_is_not_called_off(answer, state):
    assert table.overview({"work1": answer})[1].split()[:2] == ["work1", state]


def test_what_a_group_lacks_and_where_nobody_listens_is_wrong():
    lines = table.overview({"work1": robot(group(silent=[PORT], lacks=[{"path": "/run/agent.sock", "what": "spire_agent"}]))})
    assert lines[1].endswith("127.0.0.1:5432 NOT LISTENING; MISSING /run/agent.sock (spire_agent)")
    assert "1 thing is wrong" in lines[-1]
    removed = ["/etc/k8s4r/groups/web/env/a.env", "/etc/systemd/system/k8s4r-task-a.service"]
    lines = table.overview({"work1": robot(group(gone=removed))})
    assert lines[1].endswith(f"MISSING {removed[0]} and 1 more; deploy its job again")
    assert lines[-1] == "1 robot, 1 group: 1 thing is wrong"
    lines = table.overview({"work1": robot(group(unidentified=["proxy"]))}, problems=True)
    assert lines[1].endswith("NO IDENTITY: proxy; deploy its job with -e verify_entries=true")
    lines = table.overview({"work1": robot(group(silent=[{**PORT, "address": "::"}]))})
    assert lines[1].endswith("[::]:5432 NOT LISTENING")


def test_a_job_by_its_name_shows_the_ports_that_others_reach():
    where = "shop.yml: taskGroups[0].network.services[0].port"
    chosen = {"address": "0.0.0.0", "port": 27447, "called": "r0 redis", "where": "shop.yml: taskGroups[0].network.ports[0]"}
    ports = [PORT, {**chosen, "protocol": "udp"}, {"address": "::", "port": 7000, "where": where}]
    lines = table.overview({"work1": robot(group(ports=ports))}, job="shop")
    assert [line.split() for line in lines[3:-1]] == [
        ["r0", "redis", "port", "0.0.0.0:27447/udp"],
        ["services[0].port", "port", "[::]:7000"],
    ]
    assert "27447" not in text({"work1": robot(group(ports=ports))})


def test_only_what_is_wrong():
    answers = {"work1": robot(group()), "work2": robot(BROKEN, group("default/shop/other")), "work3": robot()}
    found = text(answers, problems=True)
    assert "work2" in found
    assert "r0 bad" in found
    assert not [word for word in ("work1", "work3", "shop/other") if word in found]
    assert text({"work1": robot(group())}, problems=True) == "1 robot, 1 group: nothing is wrong"


def test_one_job_with_all_its_units():
    tight = {**NEXT, "restarts": 2, "usage": usage(48.7, 3 * 2**20, 0.5, 64 * 2**20, 1)}
    restarted = group(units={"k8s4r-task-web.service": tight, "k8s4r-group-web.target": TARGET})
    answers = {"work1": robot(restarted), "work2": robot(group("default/other/web"), job="other"), "work3": {"status": "off", "msg": "x"}}
    lines = table.overview(answers, job="shop")
    assert lines[1].split()[-1] == "2"
    assert "  49% of 50%  3.0 MiB of 64  2 " in lines[2]
    assert lines[2].endswith("  memory ran out 1 time; k8s4r-task-web")
    assert not [line for line in lines if "work2" in line]
    assert [line for line in lines if "work3" in line]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"busy": "anna is changing this robot"}, "anna is changing this robot"),
        ({"interrupted": "r2"}, "the switch to release r2 was interrupted"),
        ({"unread": ["/var/x is damaged"]}, "/var/x is damaged"),
        ({"unclaimed": ["k8s4r-group-a.target"]}, "units of no known job: k8s4r-group-a.target; deploy the job that they belonged to"),
        ({"idle": ["k8s4r-logs.service (down: it was stopped)"]}, "k8s4r-logs.service (down: it was stopped)"),
    ],
)
def test_what_is_wrong_with_a_robot_itself_is_said(changes, words):
    found = table.overview({"work1": robot(group(), **changes)}, problems=True)
    assert words in found[1]
    assert found[1].startswith("work1")


def test_a_robot_without_groups_and_a_group_of_which_data_is_kept_are_one_line():
    kept = group(units={}, kept=["/var/lib/k8s4r/groups/web", "/var/lib/k8s4r/groups/web/alloc", "/var/lib/k8s4r/tasks/web"])
    lines = table.overview({"work1": robot(kept), "work2": robot()})
    assert lines[1].split("  ")[-1].strip() == "data kept: /var/lib/k8s4r/groups/web and 1 more"
    assert lines[2].endswith("runs no task group")
    assert len(lines) == 4


def test_a_unit_that_systemd_does_not_know_and_a_target_that_is_down():
    nothing = {**DOWN, "state": None, "sub": None, "seconds": None, "how": "there is no such unit"}
    lines = table.overview(
        {"work1": robot(group(units={"k8s4r-task-web.service": nothing, "k8s4r-group-web.target": {**DOWN, "called": ""}}))}
    )
    assert "2 OF 2 DOWN" in lines[1]
    assert any("r0 web" in line and "not loaded" in line and "there is no such unit" in line for line in lines)
    assert any("  target" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (7200, "2 h"), (11520, "3 h 12 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds, words):
    assert table.duration(seconds) == words


def test_a_robot_at_work_is_busy_and_not_wrong():
    busy = {**robot(group()), "busy": "me@hub is changing this robot (since now, switch); wait until that run ends"}
    lines = table.overview({"work1": busy})
    assert lines[1].split()[:2] == ["work1", "busy"]
    assert "wait until" not in lines[1]
    assert lines[-1] == "1 robot, 1 group: nothing is wrong"


def test_a_job_that_no_robot_has_is_not_well():
    nosuch = "no robot that answered has a job named "
    assert table.overview({"work1": robot(group())}, "nosuch") == [f"{nosuch}nosuch; there are: shop"]
    assert table.overview({"work1": robot(group())}, "Shopp") == [f"{nosuch}Shopp; did you mean shop?"]
    assert table.overview({"work1": robot()}, "shop") == [f"{nosuch}shop; they have no job at all"]
    *_rows, last = table.overview({"work1": {"status": "off", "msg": "No route to host"}}, "shop")
    assert last == "no robot has answered, so it is not known whether any has a job named shop"


def test_a_unit_whose_check_is_critical_is_up_and_wrong_all_the_same():
    well = {"name": "alive", "status": "passing", "said": "accepts connections"}
    ill = {"name": "ready", "status": "critical", "said": "HTTP 503"}
    slow = {"name": "slow", "status": "warning", "said": ""}
    failing = group(units={"k8s4r-task-web.service": {**NEXT, "well": False, "checks": [well, ill, slow]}})
    said = "ready is critical: HTTP 503; slow is warning: not run yet"
    assert table.overview({"work1": robot(failing)}) == [
        "robot  group     state           for         cpu  memory   restarts",
        "work1  shop/web  1 OF 1 FAILING  3 h 12 min  9%   3.0 MiB",
        f"         r0 web  failing         3 h 12 min  7%   3.0 MiB            {said}; k8s4r-task-web",
        "1 robot, 1 group: 1 thing is wrong",
    ]
    passing = group(units={"k8s4r-task-web.service": {**NEXT, "checks": [well]}})
    assert "alive" not in text({"work1": robot(passing)})
    # Of one job, what is well is worth a word, too.
    assert "alive is passing: accepts connections" in text({"work1": robot(passing)}, job="shop")
    both = {**failing["units"], "k8s4r-task-bad.service": {**DOWN, "called": "r0 bad"}}
    assert "1 OF 2 DOWN, 1 OF 2 FAILING" in text({"work1": robot(group(units=both))})


def test_what_restarts_again_and_again_is_a_problem_though_it_is_up_when_it_is_asked():
    loops = {**NEXT, "restarts": 41, "seconds": 2}
    answers = {"work1": robot(group(units={"k8s4r-task-web.service": loops, "k8s4r-group-web.target": TARGET}))}
    lines = table.overview(answers, problems=True)
    assert "1 OF 1 FAILING" in lines[1]
    assert lines[2].split()[:3] == ["r0", "web", "failing"]
    assert lines[2].endswith("restarted 41 times, the last time 2 s ago; k8s4r-task-web")
    assert lines[-1].endswith("1 thing is wrong")
    # It is the same thing while it waits for its next start.
    waits = {**DOWN, "state": "activating", "sub": "auto-restart", "restarts": 41, "how": "its program ended with exit status 7, 42 times"}
    answers = {"work1": robot(group(units={"k8s4r-task-web.service": waits, "k8s4r-group-web.target": TARGET}))}
    lines = table.overview(answers, problems=True)
    assert "1 OF 1 FAILING" in lines[1]
    assert lines[2].split()[:3] == ["r0", "web", "failing"]
    assert lines[2].endswith("restarted 41 times; its program ended with exit status 7; k8s4r-task-web")
    # It has been up for long enough since.
    settled = {**loops, "seconds": 61}
    answers = {"work1": robot(group(units={"k8s4r-task-web.service": settled}))}
    assert table.overview(answers, problems=True) == ["1 robot, 1 group: nothing is wrong"]
