# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot cannot do, or does not have, is refused; what it can do to no effect is a warning."""

from __future__ import annotations

import re

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors

from .one_robot import ROBOT, TASKS, compiled, refusal


def limited(resources: str, **robot):
    task = f"{{name: app, resources: {resources}, config: {{execConfig: {{command: app}}}}}}"
    job = f"{{name: job, taskGroups: [{{name: g, tasks: [{task}]}}]}}"
    return compiled(job, robot=ROBOT._replace(capabilities={"systemd": "252", **robot}))


@pytest.mark.parametrize(
    ("cpu", "cores", "words"),
    [
        ("50", "4", "asks for 50 cores, and robot r1 has 4; did you mean 50m (thousandths of a core)?"),
        ("12", "2", "asks for 12 cores, and robot r1 has 2; did you mean 12m (thousandths of a core)?"),
        ("2500m", "2", "asks for 2.5 cores, and robot r1 has 2; write at most 2, or exclude the robot by a constraint"),
        ("5", "4", "asks for 5 cores, and robot r1 has 4; write at most 4, or exclude the robot by a constraint"),
    ],
)
def test_more_processors_than_the_robot_has_are_refused(cpu, cores, words):
    with pytest.raises(JobErrors) as raised:
        limited(f"{{cpu: '{cpu}'}}", **{"cpu.numcores": cores})
    assert f"taskGroups[0].tasks[0].resources.cpu: {words}" in str(raised.value)


def test_all_processors_of_the_robot_are_not_too_many_and_one_that_was_never_asked_is_not_known():
    assert limited("{cpu: '4'}", **{"cpu.numcores": "4"}).warnings == ()
    assert limited("{cpu: '50'}").warnings == ()


def test_more_memory_than_the_robot_has_is_no_limit_and_a_warning_says_so():
    [warning] = limited("{memory: 64Gi}", **{"memory.totalbytes": str(2**31)}).warnings
    assert str(warning).endswith("resources.memory: a limit of 65,536 MiB has no effect on robot r1, which has 2,048 MiB")
    assert limited("{memory: 2Gi}", **{"memory.totalbytes": str(2**31)}).warnings == ()


def test_an_old_systemd_is_refused_because_it_would_ignore_what_it_does_not_know():
    robot = ROBOT._replace(capabilities={"systemd": "239"})
    assert "has systemd 239" in refusal("{name: job, taskGroups: [{name: g, " + TASKS + "}]}", robot=robot)


@pytest.mark.parametrize(
    ("resources", "robot", "words"),
    [
        (
            "{cpus: 0-4}",
            {"cpu.numcores": "4"},
            "names CPU 4, and robot r1 has 0 to 3; name others, or exclude the robot by a constraint",
        ),
        (
            "{realtime: {priority: 9}}",
            {"realtime": "no"},
            "realtime: robot r1 cannot give real-time scheduling: its kernel, or its container, refuses it",
        ),
    ],
)
def test_limits_that_a_robot_cannot_give_are_refused(resources, robot, words):
    with pytest.raises(JobErrors, match=re.escape(words)):
        limited(resources, **robot)


def test_limits_that_a_robot_can_give_or_was_never_asked_about_are_no_errors():
    assert limited("{cpus: 0-3, realtime: {priority: 9}}", **{"cpu.numcores": "4", "realtime": "yes"}).warnings == ()
    assert limited("{cpus: 0-3, realtime: {priority: 9}}").warnings == ()


def test_what_cgroup_v1_does_not_do_is_a_warning():
    resources = "{memoryHigh: 64Mi, ioWeight: 10, cpus: '0'}"
    remedy = "remove it, or exclude the robot by a constraint"
    assert [str(warning).partition("resources.")[2] for warning in limited(resources, cgroup="1").warnings] == [
        f"memoryHigh: has no effect on robot r1: it has cgroup v1; {remedy}",
        f"ioWeight: has no effect on robot r1: it has cgroup v1; {remedy}",
        f"cpus: a program can undo it on robot r1: it has cgroup v1; {remedy}",
    ]
    assert limited(resources, cgroup="2").warnings == ()


def test_a_strict_job_takes_no_limit_that_is_none():
    task = "{name: a, resources: {memoryHigh: 64Mi}, config: {execConfig: {command: a}}}"
    job = "{name: job, strict: true, taskGroups: [{name: g, tasks: [" + task + "]}]}"
    robot = ROBOT._replace(capabilities={"systemd": "252", "cgroup": "1"})
    assert "memoryHigh: has no effect on robot r1: it has cgroup v1" in refusal(job, robot=robot)
    assert compiled(job, robot=ROBOT._replace(capabilities={"systemd": "252", "cgroup": "2"})).warnings == ()


@pytest.mark.parametrize(("version", "warned"), [("245", 1), ("247", 0)])
def test_a_wall_that_an_old_systemd_does_not_have_is_a_warning(version, warned):
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: a, isolation: {pid: host}, config: {execConfig: {command: a}}}]}]}"
    found = [str(warning) for warning in compiled(job, robot=ROBOT._replace(capabilities={"systemd": version})).warnings]
    words = "tasks[0].isolation.pid: shows other users' processes on robot r1: its systemd is older than 247"
    assert [words in text for text in found] == [True] * warned
