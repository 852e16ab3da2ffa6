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
        ("50", "4", "asks for 50 cores, and the robot has 4 (for r1); did you mean 50m (thousandths of a core)?"),
        ("12", "2", "asks for 12 cores, and the robot has 2 (for r1); did you mean 12m (thousandths of a core)?"),
        ("2500m", "2", "asks for 2.5 cores, and the robot has 2 (for r1); write at most 2, or exclude the robot by a constraint"),
        ("5", "4", "asks for 5 cores, and the robot has 4 (for r1); write at most 4, or exclude the robot by a constraint"),
    ],
)
def test_more_processors_than_the_robot_has_are_refused(cpu, cores, words):
    with pytest.raises(JobErrors) as raised:
        limited(f"{{cpu: '{cpu}'}}", **{"cpu.numcores": cores})
    assert f"taskGroups[0].tasks[0].resources.cpu: {words}" in str(raised.value)


def test_all_processors_of_the_robot_are_not_too_many_and_one_that_was_never_asked_is_not_known():
    assert limited("{cpu: '4'}", **{"cpu.numcores": "4"}).warnings == ()
    assert limited("{cpu: '50'}").warnings == ()


def test_more_memory_than_the_robot_has_is_refused():
    with pytest.raises(JobErrors) as raised:
        limited("{memory: 64Gi}", **{"memory.totalbytes": str(2**31)})
    words = "asks for 65,536 MiB, and the robot has 2,048 MiB (for r1); write less, or exclude the robot by a constraint"
    assert f"taskGroups[0].tasks[0].resources.memory: {words}" in str(raised.value)
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
            "names CPU 4, and the robot has 0 to 3 (for r1); name others, or exclude the robot by a constraint",
        ),
        (
            "{realtime: {priority: 9}}",
            {"realtime": "no"},
            "realtime: the robot cannot give real-time scheduling: its kernel, or its container, refuses it",
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
    resources = "{memoryHigh: 64Mi, ioWeight: 10, iops: 100, cpus: '0'}"
    remedy = "remove it, or exclude the robot by a constraint"
    assert [str(warning).partition("resources.")[2] for warning in limited(resources, cgroup="1").warnings] == [
        f"memoryHigh: has no effect on the robot: it has cgroup v1 (for r1); {remedy}",
        f"ioWeight: has no effect on the robot: it has cgroup v1 (for r1); {remedy}",
        f"iops: has no effect on the robot: it has cgroup v1 (for r1); {remedy}",
        f"cpus: a program can undo it on the robot: it has cgroup v1 (for r1); {remedy}",
    ]
    assert limited(resources, cgroup="2").warnings == ()


def test_a_strict_job_takes_no_limit_that_is_none():
    task = "{name: a, resources: {memoryHigh: 64Mi}, config: {execConfig: {command: a}}}"
    job = "{name: job, strict: true, taskGroups: [{name: g, tasks: [" + task + "]}]}"
    robot = ROBOT._replace(capabilities={"systemd": "252", "cgroup": "1"})
    assert "memoryHigh: has no effect on the robot: it has cgroup v1 (for r1)" in refusal(job, robot=robot)
    assert compiled(job, robot=ROBOT._replace(capabilities={"systemd": "252", "cgroup": "2"})).warnings == ()


@pytest.mark.parametrize(("version", "warned"), [("245", 1), ("247", 0)])
def test_a_wall_that_an_old_systemd_does_not_have_is_a_warning(version, warned):
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: a, isolation: {pid: host}, config: {execConfig: {command: a}}}]}]}"
    found = [str(warning) for warning in compiled(job, robot=ROBOT._replace(capabilities={"systemd": version})).warnings]
    words = "tasks[0].isolation.pid: shows other users' processes on the robot: its systemd is older than 247"
    assert [words in text for text in found] == [True] * warned


@pytest.mark.parametrize(
    ("robot", "why"),
    [
        ({"systemd": "252", "users": "no"}, "its kernel has no user namespaces, or the sysctl user.max_user_namespaces is 0"),
        ({"systemd": "245", "users": "yes"}, "its systemd is older than 247"),
    ],
)
def test_users_of_its_own_are_refused_where_a_robot_cannot_give_them(robot, why):
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: a, isolation: {users: USERS}, config: {execConfig: {command: a}}}]}]}"
    robot = ROBOT._replace(capabilities=robot)
    said = refusal(job.replace("USERS", "own"), robot=robot)
    remedy = "remove it, or exclude the robot by a constraint"
    found = f"the robot cannot give a task users of its own: {why} (for r1); {remedy}"
    assert f"taskGroups[0].tasks[0].isolation.users: {found}" in said
    assert compiled(job.replace("USERS", "host"), robot=robot)
    # One that was never asked may.
    assert compiled(job.replace("USERS", "own"))


SIZES = """
taskGroups:
  - name: g
    ephemeralDisk: {sizeMB: 2000, sticky: false, migrate: true}
    tasks: [{name: a, resources: {disk: 1Gi, iops: 0, networks: [{mbits: 0}, {mbits: 10}]}, config: {execConfig: {command: a}}}]
"""


def sized(answer: str = "", job: str = "name: job" + SIZES):
    """The job compiled for a robot that reports this of quotas."""
    reported = {**ROBOT.capabilities, **({"disk.quota": answer} if answer else {})}
    return compiled(job, robot=ROBOT._replace(capabilities=reported))


def said(result):
    return [str(warning).partition(": ")[2] for warning in result.warnings]


def quotas(result):
    """What each quota bounds: {key: (MiB, directories)}."""
    (group,) = result.plan["jobs"][0]["groups"]
    found = [each for each in group["resources"] if each["kind"] == "quota"]
    return {each["where"].partition(": ")[2]: (each["size"] >> 20, each["directories"]) for each in found}


IN_A_POD = "write `network: {mode: group}`, or remove it"
NOWHERE = [
    f"taskGroups[0].tasks[0].resources.networks[1].mbits: 10 Mbit/s are no limit: only a pod's bandwidth is limited; {IN_A_POD}",
    "taskGroups[0].ephemeralDisk.sticky: the data are kept all the same, as long as the group is on the robot",
    "taskGroups[0].ephemeralDisk.migrate: never acts: no other robot is asked, and data stay where they are",
]


def test_what_no_robot_does_is_a_warning_and_for_a_strict_job_an_error():
    assert said(compiled("name: job" + SIZES)) == NOWHERE
    refused = refusal("name: job\nstrict: true" + SIZES)
    assert all(warning in refused for warning in NOWHERE)


def test_a_size_that_a_robot_cannot_enforce_is_a_warning_with_the_number_and_for_a_strict_job_an_error():
    free = (
        "must be free when the job is deployed, but nothing stops programs from writing more: "
        "/var/lib/k8s4r is on a file system without project quotas (for r1); "
        "mount one that has them there, exclude the robot by a constraint, or remove the size"
    )
    warnings = [f"taskGroups[0].tasks[0].resources.disk: 1,024 MiB {free}", f"taskGroups[0].ephemeralDisk.sizeMB: 2,000 MiB {free}"]
    assert said(sized("no")) == [*warnings, *NOWHERE]
    assert quotas(sized("no")) == {}
    refused = refusal("name: job\nstrict: true" + SIZES, robot=ROBOT._replace(capabilities={"systemd": "252", "disk.quota": "no"}))
    assert all(warning in refused for warning in warnings)


def test_a_size_is_a_limit_where_the_robot_can_and_the_robot_that_was_never_asked_gets_no_limit():
    assert said(sized("ext4")) == NOWHERE
    (group,) = sized("ext4").plan["jobs"][0]["groups"]
    data = f"/var/lib/k8s4r/groups/{group['id']}"
    assert quotas(sized("ext4")) == {
        "taskGroups[0].ephemeralDisk.sizeMB": (2000, [f"{data}/alloc", f"{data}/tmp"]),
        "taskGroups[0].tasks[0].resources.disk": (1024, ["/var/lib/k8s4r/tasks/job-g-r0-a-fd0e15e4/local"]),
    }
    assert quotas(sized()) == {}


def test_limits_of_the_disk_are_in_force_before_artifacts_come_and_after_all_directories_that_they_count():
    artifact = ", artifacts: [{getterSource: https://files.example/a.tar.gz}]}"
    (group,) = sized("ext4", "name: job" + SIZES.replace("{command: a}}}", "{command: a}}" + artifact)).plan["jobs"][0]["groups"]
    order = [(each["kind"], each.get("path")) for each in group["resources"]]
    limits = [place for place, (kind, _path) in enumerate(order) if kind == "quota"]
    (brought,) = (place for place, (kind, _path) in enumerate(order) if kind == "artifacts")
    for directories in (each["directories"] for each in group["resources"] if each["kind"] == "quota"):
        assert max(order.index(("directory", path)) for path in directories) < min(limits) <= max(limits) < brought


GROUPS_OWN = """
name: job
taskGroups:
  - name: g
    {disk}
    resources: {{disk: 1Gi}}
    initTasks: [{{name: i, config: {{execConfig: {{command: a}}}}}}]
    tasks: [{{name: a, config: {{execConfig: {{command: a}}}}}}]
"""


@pytest.mark.parametrize(
    ("disk", "where", "size"),
    [
        ("", "resources.disk", 1024),
        ("ephemeralDisk: {sizeMB: 2000}", "resources.disk", 1024),
        ("ephemeralDisk: {sizeMB: 10}", "ephemeralDisk.sizeMB", 10),
        ("ephemeralDisk: {sizeMB: 0}", "resources.disk", 1024),
    ],
)
def test_the_disk_of_a_group_is_its_size_too_and_the_smaller_one_holds_for_all_that_it_keeps(disk, where, size):
    ((at, (found, directories)),) = quotas(sized("ext4", GROUPS_OWN.format(disk=disk))).items()
    assert (at, found) == (f"taskGroups[0].{where}", size)
    assert [path.split("/")[-1] for path in directories] == ["alloc", "tmp", "local", "local"]


PRIVILEGED = """
name: job
taskGroups:
  - name: g
    ephemeralDisk: {sizeMB: 10}
    initTasks:
      - {name: i, resources: {disk: 1Mi}, config: {execConfig: {command: a}}}
      - {name: j, user: pi, resources: {disk: 1Mi}, config: {execConfig: {command: a}}}
      - {name: k, config: {execConfig: {command: a}}}
    tasks:
      - {name: a, driver: raw_exec, user: root, config: {execConfig: {command: a}}}
      - {name: b, driver: raw_exec, resources: {disk: 1Mi}, config: {execConfig: {command: a}}}
      - {name: c, user: root, resources: {disk: 1Mi}, config: {execConfig: {command: a}}}
      - {name: d, driver: raw_exec, user: root, resources: {disk: 1Mi}, config: {execConfig: {command: a}}}
"""


def test_a_program_that_the_kernel_lets_write_more_is_a_warning():
    more = "which has all privileges of root; name another user, exclude the robot by a constraint, or remove the size"
    assert [text for text in said(sized("ext4", PRIVILEGED)) if "is no limit" in text] == [
        f"taskGroups[0].initTasks[0].resources.disk: is no limit for i, {more}",
        f"taskGroups[0].ephemeralDisk.sizeMB: is no limit for a, {more}",
        f"taskGroups[0].tasks[3].resources.disk: is no limit for d, {more}",
    ]
    assert said(sized("xfs", PRIVILEGED)) == []
    for group in ("resources: {disk: 10Mi}", "resources: {disk: 9Mi}, ephemeralDisk: {sizeMB: 10}"):
        document = PRIVILEGED.replace("ephemeralDisk: {sizeMB: 10}", group.replace(", eph", "\n    eph"))
        assert f"taskGroups[0].resources.disk: is no limit for a, {more}" in said(sized("ext4", document))


def test_disk_space_is_what_the_robot_is_asked_about():
    (group,) = compiled("name: job" + SIZES).plan["jobs"][0]["groups"]
    sizes = {each["where"].rpartition(".")[2]: each["name"].split() for each in group["expects"] if each["what"] == "disk"}
    data = f"/var/lib/k8s4r/groups/{group['id']}"
    assert sizes == {
        "disk": [str(2**30), "/var/lib/k8s4r/tasks/job-g-r0-a-fd0e15e4/local"],
        "sizeMB": [str(2000 * 2**20), f"{data}/alloc", f"{data}/tmp"],
    }


def test_operations_of_the_disk_are_limited_by_systemd():
    (group,) = limited("{iops: 300}", cgroup="2").plan["jobs"][0]["groups"]
    unit = next(r["content"] for r in group["resources"] if r.get("called") == "r0 app")
    assert "IOAccounting=yes\nIOReadIOPSMax=/var/lib/k8s4r 300\nIOWriteIOPSMax=/var/lib/k8s4r 300\n" in unit
    assert not limited("{iops: 300}", cgroup="2").warnings
