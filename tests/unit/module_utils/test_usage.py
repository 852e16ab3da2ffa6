# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of control groups of both versions, the kernel's log, and the text for Prometheus, where tests on robots do not reach."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.usage import oom, textfile
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.usage.cgroups import Cgroups

UNIT = "/k8s4r.slice/k8s4r-shop.slice/k8s4r-task-web.service"


def put(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="ascii")
    return Cgroups(str(root))


def unified(root, **files):
    there = {"cpu.stat": "usage_usec 2500000\nnr_throttled 3\nthrottled_usec 700000\n", "cpu.max": "50000 100000\n"}
    return put(
        root, {"cgroup.controllers": "cpu io memory pids\n", **{f"{UNIT[1:]}/{name}": text for name, text in {**there, **files}.items()}}
    )


def test_cgroup_v2(tmp_path):
    disks = "8:0 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n254:0 rbytes=1 wbytes=2 rios=3 wios=4\n"
    memory = {"memory.current": "900\n", "memory.peak": "1000\n", "memory.max": "max\n", "memory.events": "oom 2\noom_kill 1\n"}
    found = unified(tmp_path, **memory, **{"io.stat": disks, "pids.current": "4\n", "pids.max": "1024\n", "cgroup.procs": "0\n0\n"}).usage(
        UNIT
    )
    assert found == {
        "cpu": {"seconds": 2.5, "percent": None, "limit": 0.5, "percent_of_limit": None, "throttled_seconds": 0.7},
        "memory": {"current": 900, "peak": 1000, "limit": None, "oom_kills": 1},
        "io": {"read_bytes": 101, "written_bytes": 22, "reads": 6, "writes": 8},
        "processes": 2,
        "threads": 4,
        "threads_limit": 1024,
    }


def test_of_cgroup_v1_without_v2_beside_it_as_old_robots_have_it(tmp_path):
    of_memory = {
        "usage_in_bytes": "900",
        "max_usage_in_bytes": "1000",
        "limit_in_bytes": "9223372036854771712",
        "oom_control": "oom_kill 2",
    }
    found = put(
        tmp_path,
        {
            **{f"memory{UNIT}/memory.{name}": f"{text}\n" for name, text in of_memory.items()},
            f"cpuacct{UNIT}/cpuacct.usage": "1500000000\n",
            f"cpu{UNIT}/cpu.cfs_quota_us": "-1\n",
            f"cpu{UNIT}/cpu.cfs_period_us": "100000\n",
            f"cpu{UNIT}/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 250000000\n",
        },
    ).usage(UNIT)
    assert found["cpu"] == {"seconds": 1.5, "percent": None, "limit": None, "percent_of_limit": None, "throttled_seconds": 0.25}
    assert found["memory"] == {"current": 900, "peak": 1000, "limit": None, "oom_kills": 2}


def test_a_percentage_is_of_the_time_of_the_sample(tmp_path):
    cgroups = unified(tmp_path)
    cgroups.sample([UNIT, "/gone"], 0.2)
    (tmp_path / UNIT[1:] / "cpu.stat").write_text("usage_usec 2550000\n", encoding="ascii")
    cpu = cgroups.usage(UNIT)["cpu"]
    # 50 ms of a little more than 200, and of more where the machine stood still.
    assert 0.2 < cpu["percent"] <= 25
    assert cpu["percent_of_limit"] == pytest.approx(cpu["percent"] * 2, abs=0.01)


def test_what_does_not_run_uses_nothing_and_is_not_the_whole_robot(tmp_path):
    whole = {"cgroup.controllers": "memory\n", "memory.current": "9\n", "cpu.stat": "usage_usec 7\n", "cgroup.procs": "1\n"}
    found = put(tmp_path, whole).usage("", 3)
    assert found.pop("memory") == {"current": None, "peak": None, "limit": None, "oom_kills": 3}
    assert {value for part in found.values() for value in (part.values() if isinstance(part, dict) else [part])} == {None}


KILL = (
    "6,91,{at},-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={slice},mems_allowed=0,oom_memcg={slice},"
    "task_memcg={slice}/{unit},task={task},pid=9,uid=1\n DEVICE=x\n"
)
SLICE = "/k8s4r.slice/k8s4r-shop.slice"


@pytest.fixture
def log():
    """A pipe that keeps records apart, as the kernel's log does."""
    reader, writer = os.pipe2(os.O_DIRECT)

    def of(*records):
        for record in records:
            os.write(writer, record.encode("ascii"))
        return f"/proc/self/fd/{reader}"

    yield of
    os.close(reader)
    os.close(writer)


def test_the_kernel_log_names_the_victims(log):
    at = int(time.clock_gettime(time.CLOCK_MONOTONIC_RAW) * 1e6)
    spoof = "a,task_memcg=/k8s4r-task-x.service,"
    found = oom.kills(
        log(
            "6,90,1,-;usb 1-1: new device\n",
            KILL.format(at=at, slice=SLICE, unit="k8s4r-task-web.service", task="python3"),
            KILL.format(at=at + 5, slice=SLICE, unit="k8s4r-task-web.service/inner", task=spoof),
            KILL.format(at=at, slice="/system.slice", unit="ssh.service", task=spoof),
        )
    )
    assert found.keys() == {"k8s4r-task-web.service"}
    assert [moment == pytest.approx(time.monotonic(), abs=5) for moment in found["k8s4r-task-web.service"]] == [True, True]
    assert oom.kills("/no/such/log") == {}


def ended(result, status, exit_at=100.0):
    times = {"ExecMainStartTimestampMonotonic": "50000000", "ExecMainExitTimestampMonotonic": str(int(exit_at * 1e6))}
    return {"Result": result, "ExecMainStatus": status, **times}


def test_a_record_that_a_program_has_written_is_none_of_the_kernels(log):
    """What writes into the log may be a task with rights."""
    record = KILL.format(at=1, slice=SLICE, unit="k8s4r-task-web.service", task="web")
    assert oom.kills(log(record.replace("6,", "14,", 1))) == {}
    assert list(oom.kills(log(record))) == ["k8s4r-task-web.service"]


@pytest.mark.parametrize(
    ("values", "result"),
    [
        (ended("signal", "9"), "oom-kill"),
        (ended("exit-code", "137"), "oom-kill"),
        (ended("exit-code", "1"), "exit-code"),
        (ended("timeout", "9"), "timeout"),
        # Another end than that of which the log tells.
        (ended("signal", "9", exit_at=300.0), "signal"),
    ],
)
def test_an_end_that_the_log_tells_of_has_its_result(values, result):
    assert oom.told({"u": values, "other": ended("signal", "9")}, {"u": [101.0]})["u"]["Result"] == result


def test_the_text_for_prometheus_escapes_and_leaves_out_what_is_not_known():
    usage = {"cpu": {"seconds": 1.5}, "memory": {"current": 5}, "io": {"reads": None, "read_bytes": 7}, "processes": 2}
    task = {**usage, "task": 'a"b\\c\nd', "instance": None, "well": True, "exit_status": 137}
    group = {**usage, "namespace": "default", "job": "j", "group": "g", "tasks": [task], "proxy": None, "pods": [], "well": False}
    lines = textfile.text([group]).splitlines()
    labels = 'namespace="default",job="j",group="g",instance="",task="a\\"b\\\\c\\nd"'
    assert f"k8s4r_task_exit_status{{{labels}}} 137" in lines
    assert 'k8s4r_group_cpu_seconds_total{namespace="default",job="j",group="g"} 1.5' in lines
    assert 'k8s4r_group_well{namespace="default",job="j",group="g"} 0' in lines
    assert not [line for line in lines if "peak" in line or "proxy" in line or "_io_" in line or "None" in line]
    # Every metric once, with what it is before it.
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert textfile.text([]) == ""
