# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log files of tasks, on the oldest systemd and the newest: what is in them, and what is not, whatever happens to who writes them."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.engine.harness import Machine

machine = each_of(ENDS)

DRIVERS = ("exec", "raw_exec")
ROTATOR = "k8s4r-logs.service"

# Writes numbered lines of many lengths, in writes that end within lines, and notes how far it came and what went wrong. With a pause
# between writes it goes on, slowly, until it is told that it is enough.
WRITER = """
import os, pathlib, sys, time
alloc, total, pause = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"]), int(sys.argv[1]), float(sys.argv[2])
number, rest = 0, b""
try:
    while number < total or rest:
        while number < total and len(rest) < 3000:
            rest += b"%08d %s\\n" % (number, b"x" * (number * 7 % 190))
            number += 1
        rest = rest[os.write(1, rest[:1000]):]
        time.sleep(pause)
        if pause and number == total and not (alloc / "enough").exists():
            total, pause = total + 10, 0.05
    (alloc / "last").write_text("%08d" % (total - 1))
    (alloc / "done").touch()
except OSError as error:
    (alloc / "done").write_text(repr(error))
time.sleep(1000)
"""

# What is in all files of a stream, the oldest first: how many lines, from which to which, and what is wrong.
CHECK = """
import json, pathlib, sys
directory = pathlib.Path(sys.argv[1])
paths = sorted(directory.glob("stdout.log*"), key=lambda path: int(path.suffix[1:]) if path.suffix != ".log" else 0, reverse=True)
contents = [path.read_bytes() for path in paths]
lines = b"".join(contents).split(b"\\n")[:-1]
numbers = [int(line[:8]) for line in lines]
wrong = [line.decode() for number, line in zip(numbers, lines) if line != b"%08d %s" % (number, b"x" * (number * 7 % 190))]
gaps = [pair for pair in zip(numbers, numbers[1:]) if pair[1] != pair[0] + 1]
split = [path.name for path, content in zip(paths, contents) if content and not content.endswith(b"\\n")]
print(json.dumps({"files": len(paths), "largest": max(map(len, contents)), "first": numbers[0], "last": numbers[-1],
                  "wrong": wrong[:3], "gaps": gaps[:3], "split": split}))
"""


def writer(name: str, total: int, pause: float = 0.0, **keys: t.Any) -> dict[str, t.Any]:
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", WRITER, str(total), str(pause)]}
    return {"name": name, "config": {"execConfig": program}, **keys}


def up(machine: Machine, *tasks: dict[str, t.Any], **keys: t.Any) -> dict[str, t.Any]:
    (plan,) = plans(machine, {"name": "logs", "taskGroups": [{"name": "g", "tasks": tasks, **keys}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    return plan


def logs(machine: Machine, task: str) -> str:
    """The directory with the log files of a task, or an init task."""
    return machine.sh(f"ls -d /var/lib/k8s4r/tasks/logs-g-{task}-????????/logs").strip()


def alloc(machine: Machine) -> str:
    return machine.sh("echo /var/lib/k8s4r/groups/logs-g-*/alloc").strip()


def checked(machine: Machine, directory: str) -> dict[str, t.Any]:
    outcome = machine.execute(f"python3 -I -S - {directory}", CHECK.encode())
    assert outcome.status == 0, outcome
    found: dict[str, t.Any] = json.loads(outcome.stdout)
    return found


def main_pid(machine: Machine) -> str:
    """The process of the one that writes the files; it may just be started again."""
    machine.until(f"systemctl is-active --quiet {ROTATOR}")
    return machine.sh(f"systemctl show -p MainPID --value {ROTATOR}").strip()


SAYS = 'echo "from $NOMAD_TASK_NAME"; echo "an error of $NOMAD_TASK_NAME" >&2; echo again >/dev/stderr; exec sleep 1000'


def test_what_tasks_and_init_tasks_write_is_in_their_files_and_goes_with_them(machine):
    tasks = [shell(driver.replace("_", ""), SAYS, driver=driver) for driver in DRIVERS]
    plan = up(machine, *tasks, initTasks=[shell("prepares", SAYS.replace("exec sleep 1000", "")), shell("serves", SAYS, daemon=True)])
    group = machine.sh("stat -c %G /var/lib/k8s4r/tasks/logs-g-r0-exec-*/logs").strip()
    for name in ("r0-exec", "r0-rawexec", "prepares", "serves"):
        directory, task = logs(machine, name), name.removeprefix("r0-")
        machine.until(f"[ $(cat {directory}/*.log | wc -l) = 3 ]")
        assert machine.sh(f"cat {directory}/stdout.log") == f"from {task}\n"
        assert machine.sh(f"cat {directory}/stderr.log") == f"an error of {task}\nagain\n"
        modes = machine.sh(f"stat -c '%U %G %a' {directory} {directory}/*.log").splitlines()
        assert modes == [f"root {group} {mode}" for mode in (750, 640, 640)]
    assert machine.state(ROTATOR) == "active"
    # It is there before the tasks, and until all of them have ended.
    assert "k8s4r.slice" in machine.sh(f"systemctl show -p Before --value {ROTATOR}").split()
    assert machine.sh(f"systemctl is-enabled {ROTATOR}").strip() == "enabled"
    assert machine.ask(plan)["status"] == "unchanged"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    machine.absent(
        "ls -d /etc/systemd/system/k8s4r-log* /etc/systemd/system/*.wants/k8s4r-log* /etc/k8s4r/logs /run/k8s4r/logs 2>/dev/null | grep ."
    )
    machine.absent("systemctl list-units --all --plain --no-legend 'k8s4r-log*' | grep .")
    machine.absent("ls -A /var/lib/k8s4r/tasks | grep .")
    machine.absent("pgrep -f logs.rotator")


def test_another_job_restarts_neither_the_one_that_writes_nor_a_task(machine):
    up(machine, shell("one", SAYS))
    before, unit = main_pid(machine), "k8s4r-task-logs-g-r0-one-*"
    pid = machine.sh(f"systemctl show -p MainPID '{unit}'")
    (other,) = plans(machine, {"name": "other", "taskGroups": [{"name": "g", "tasks": [shell("two", SAYS)]}]})
    assert machine.deploy(other)["status"] == "committed"
    machine.until("grep -q two /var/lib/k8s4r/tasks/other-g-r0-two-*/logs/stdout.log")
    assert machine.deploy(without_groups(other))["status"] == "committed"
    assert main_pid(machine) == before
    assert machine.sh(f"systemctl show -p MainPID '{unit}'") == pid


def test_a_run_says_why_what_writes_the_files_does_not_start(machine):
    (plan,) = plans(machine, {"name": "logs", "taskGroups": [{"name": "g", "tasks": [shell("one", SAYS)]}]})
    override = f"/etc/systemd/system/{ROTATOR}.d"
    machine.sh(f"mkdir -p {override}; printf '[Service]\nInaccessiblePaths=/var/lib/k8s4r/engine\n' >{override}/test.conf")
    try:
        result = machine.deploy(plan)
    finally:
        machine.sh(f"rm -r {override}; systemctl daemon-reload")
    assert result["status"] != "committed"
    assert "No module named 'k8s4r_engine'" in result["errors"][0]
    assert machine.deploy(plan)["status"] == "committed"


# As many as the FIFOs of 130 tasks: of one user's pipes, Linux lets no more be so large, but for the privileged.
PIPES = """
import fcntl, os, subprocess
pipes = [os.pipe() for _number in range(260)]
for _reader, writer in pipes:
    fcntl.fcntl(writer, 1031, 262144)
subprocess.run(["systemctl", "restart", "k8s4r-logs.service"], check=True)
"""


def test_a_robot_may_have_many_tasks(machine):
    """A test robot is a container, where the program that writes the files is not privileged: it sees less of each at a time."""
    up(machine, shell("one", SAYS))
    outcome = machine.execute("python3 -I -S -", PIPES.encode())
    assert outcome.status == 0, outcome
    up(machine, shell("one", SAYS), writer("app", 20000, logs={"maxFiles": 100, "maxFileSize": "64Ki"}))
    machine.until(f"test -e {alloc(machine)}/done")
    directory = logs(machine, "r0-app")
    machine.until(f"tail -n 1 {directory}/stdout.log | grep -q 00019999")
    found = checked(machine, directory)
    assert (found["first"], found["last"]) == (0, 19999)
    assert (found["wrong"], found["gaps"], found["split"]) == ([], [], [])


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_line_is_lost_or_split_while_it_is_killed_stopped_and_started(machine, driver):
    up(machine, writer("app", 120000, 0.0005, driver=driver, logs={"maxFiles": 400, "maxFileSize": "64Ki"}))
    directory, done = logs(machine, "r0-app"), f"{alloc(machine)}/done"
    machine.sh(f"tail -q -n +1 -F {directory}/stdout.log >/tmp/followed 2>/dev/null & echo $! >/tmp/follower")
    for how in ("kill -KILL", "kill -KILL", "kill -TERM", "kill -KILL", "kill -KILL", "kill -KILL"):
        size, process = machine.sh(f"cat {directory}/stdout.log* | wc -c").strip(), main_pid(machine)
        machine.sh(f"{how} {process}")
        machine.until(f"systemctl show -p MainPID --value {ROTATOR} | grep -vqx -e 0 -e {process}")
        machine.until(f"[ $(cat {directory}/stdout.log* | wc -c) -gt {size} ]")
    machine.sh(f"systemctl stop {ROTATOR}; sleep 1; systemctl start {ROTATOR}")
    machine.sh(f"touch {alloc(machine)}/enough")
    machine.until(f"test -e {done}")
    assert machine.sh(f"cat {done}") == "", "the task met an error"
    last = machine.sh(f"cat {alloc(machine)}/last")
    machine.until(f"tail -n 1 {directory}/stdout.log | grep -q {last}")
    found = checked(machine, directory)
    assert (found["first"], found["last"]) == (0, int(last))
    assert found["last"] >= 119999
    assert (found["wrong"], found["gaps"], found["split"]) == ([], [], [])
    assert found["largest"] <= 65536
    assert found["files"] > 50
    machine.until(f"tail -n 1 /tmp/followed | grep -q {last}")
    machine.sh("kill $(cat /tmp/follower)")


def test_the_bound_holds_for_who_writes_as_fast_as_it_can(machine):
    limits = {"maxFiles": 4, "maxFileSize": "1Mi"}
    script = "while [ ! -e $NOMAD_ALLOC_DIR/go ]; do sleep 0.1; done; exec timeout 6 yes 0123456789abcdef0123456789"
    up(machine, shell("app", script, logs=limits))
    directory = logs(machine, "r0-app")
    measure = f"""
    touch {alloc(machine)}/go; most=0; end=$(($(date +%s) + 6))
    while [ $(date +%s) -lt $end ]; do
        now=$(du -cb {directory}/stdout.log* 2>/dev/null | tail -n 1 | cut -f1); [ $now -gt $most ] && most=$now
    done
    echo $most $(grep -E '^Pss_Anon:' /proc/{main_pid(machine)}/smaps_rollup)
    """
    most, _name, memory, _unit = machine.sh(measure).split()
    # A file may be counted twice, when it is renamed in between.
    assert int(most) <= 5 * 2**20
    assert int(most) > 3 * 2**20
    # Its own memory: how much of Python's files counts as its own depends on who else has them open.
    assert int(memory) < 6144
    assert machine.sh(f"cat {directory}/stdout.log.? | sort | uniq -c | wc -l").strip() == "1", "a line was split"


def test_a_task_leads_root_nowhere(machine):
    """A task that runs as root may change its directories: neither a link to a file nor one in place of the directory is followed."""
    script = """
    cd $NOMAD_TASK_DIR/..; echo first
    until [ -s logs/stdout.log ]; do sleep 0.1; done
    ln -sf /srv/target logs/stdout.log; ln -sf /srv/target logs/stderr.log
    echo second; echo second >&2
    until [ -f logs/stdout.log -a ! -L logs/stdout.log ] && grep -q second logs/stdout.log; do sleep 0.1; done
    mv logs elsewhere; ln -s /srv/place logs; rm elsewhere/*
    echo third; touch $NOMAD_ALLOC_DIR/third
    exec sleep 1000
    """
    machine.sh("rm -rf /srv/target /srv/place; echo mine >/srv/target; mkdir /srv/place")
    up(machine, shell("app", script, user="root"))
    machine.until(f"test -e {alloc(machine)}/third")
    # It is not the only one: another task's lines are written, before and after a restart.
    machine.sh(f"sleep 1; systemctl restart {ROTATOR}; sleep 1")
    assert machine.sh("cat /srv/target") == "mine\n"
    assert machine.sh("ls -A /srv/place") == ""


def test_a_user_of_its_own_may_read_its_log_and_not_change_it(machine):
    script = """
    echo said; logs=$NOMAD_TASK_DIR/../logs
    until grep -q said $logs/stdout.log; do sleep 0.1; done
    for change in "touch $logs/x" "rm $logs/stdout.log" "mv $logs $logs.old" "sh -c 'echo >>$logs/stdout.log'" "ls /run/k8s4r/logs"; do
        $change 2>/dev/null && echo "$change" >>$NOMAD_ALLOC_DIR/could
    done
    touch $NOMAD_ALLOC_DIR/tried; exec sleep 1000
    """
    up(machine, *(shell(driver.replace("_", ""), script, driver=driver) for driver in DRIVERS))
    machine.until(f"test -e {alloc(machine)}/tried")
    assert machine.sh(f"ls {alloc(machine)}").split() == ["tried"], "what it could do is in `could`"


@pytest.mark.parametrize("on_full", ["block", "drop"])
def test_on_a_full_disk_a_task_waits_or_loses_lines_that_are_counted(machine, on_full):
    limits = {"maxFiles": 4, "maxFileSize": "4Mi", "onFull": on_full}
    script = WRITER.replace("number, rest = 0", "while not (alloc / 'go').exists(): time.sleep(0.1)\nnumber, rest = 0")
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", script, "20000", "0"]}
    plan = up(machine, {"name": "app", "config": {"execConfig": program}, "logs": limits})
    directory, notes = logs(machine, "r0-app"), alloc(machine)
    mount = f"mount -t tmpfs -o size=256k,mode=750 none {directory}"
    machine.sh(f"systemctl stop {ROTATOR}; {mount}; systemctl start {ROTATOR}; touch {notes}/go")
    try:
        if on_full == "drop":
            machine.until(f"test -e {notes}/done")
        else:
            machine.until(f"[ $(stat -f -c %f {directory}) = 0 ]")
            machine.sh("sleep 2")
            machine.absent(f"test -e {notes}/done")
        machine.sh(f"mount -o remount,size=16m {directory}")
        if on_full == "block":
            machine.until(f"test -e {notes}/done && tail -n 1 {directory}/stdout.log | grep -q 00019999")
            found = checked(machine, directory)
            assert (found["first"], found["last"], found["wrong"], found["gaps"]) == (0, 19999, [], [])
        else:
            machine.until(f"grep -q '^k8s4r: [0-9]* lines were dropped' {directory}/stdout.log")
            # What was still on its way comes after that.
            dropped = f"sed -n 's/^k8s4r: \\([0-9]*\\) lines were dropped.*/\\1/p' {directory}/stdout.log | paste -sd+"
            told = f"$(($(grep -cE '^[0-9]{{8}} x*$' {directory}/stdout.log) + $({dropped})))"
            machine.until(f"[ {told} -ge 20000 ]")
            # The line that the disk ended in counts as one that was dropped.
            assert int(machine.sh(f"echo {told}")) <= 20001
    finally:
        machine.sh(f"systemctl stop {ROTATOR}; umount --lazy {directory}; systemctl start {ROTATOR}")
    assert machine.deploy(without_groups(plan))["status"] == "committed"


def test_one_that_stands_still_is_restarted(machine):
    up(machine, shell("app", "while :; do echo still here; sleep 0.2; done"))
    before = main_pid(machine)
    machine.sh(f"kill -STOP {before}")
    machine.until(f"[ $(systemctl show -p MainPID --value {ROTATOR}) != {before} ]")
    directory = logs(machine, "r0-app")
    count = machine.sh(f"wc -l <{directory}/stdout.log").strip()
    machine.until(f"[ $(wc -l <{directory}/stdout.log) -gt {count} ]")
    assert set(machine.sh(f"cat {directory}/stdout.log").splitlines()) == {"still here"}


def test_a_failure_shows_the_last_lines_of_the_new_program_alone(machine):
    up(machine, shell("app", "echo of the old one; echo of the old one >&2; exec sleep 1000"))
    machine.until(f"grep -q old {logs(machine, 'r0-app')}/stderr.log")
    script = "for i in 1 2 3; do echo line $i; done; printf 'no map at /srv\\n' >&2; exit 3"
    (broken,) = plans(machine, {"name": "logs", "taskGroups": [{"name": "g", "tasks": [shell("app", script)]}]})
    result = machine.deploy(broken)
    assert result["status"] == "rolled-back"
    (error,) = [text for text in result["errors"] if "r0 app" in text]
    said = [line.strip() for line in error.splitlines()[1:]]
    assert said[-1] == "no map at /srv"
    assert set(said) == {"line 1", "line 2", "line 3", "no map at /srv"}


def test_kept_data_has_the_last_lines(machine):
    script = "trap 'echo the last line; exit 0' TERM; touch $NOMAD_ALLOC_DIR/up; while :; do sleep 0.1; done"
    plan = up(machine, shell("app", script, driver="raw_exec"))
    machine.until(f"test -e {alloc(machine)}/up")
    directory = logs(machine, "r0-app")
    assert machine.deploy(without_groups(plan), keep_data=True)["status"] == "committed"
    assert machine.sh(f"cat {directory}/stdout.log") == "the last line\n"
    machine.absent("ls -d /etc/k8s4r/logs /run/k8s4r/logs 2>/dev/null | grep .")


def test_another_user_and_other_limits_are_taken_in(machine):
    machine.sh("id -u logsuser >/dev/null 2>&1 || useradd --system logsuser")
    script = "echo one >/dev/stderr; exec sleep 1000"
    up(machine, shell("app", script, driver="raw_exec", logs={"maxFiles": 3}))
    directory = logs(machine, "r0-app")
    machine.until(f"[ $(grep -c one {directory}/stderr.log) = 1 ]")
    machine.sh(f"touch {directory}/stderr.log.1 {directory}/stderr.log.2")
    up(machine, shell("app", script, driver="raw_exec", user="logsuser", logs={"maxFiles": 2}))
    machine.until(f"[ $(grep -c one {directory}/stderr.log) = 2 ]")
    machine.until(f"[ ! -e {directory}/stderr.log.2 ]")
    assert machine.sh(f"cd {directory} && ls stderr.log*").split() == ["stderr.log", "stderr.log.1"]


def test_after_a_boot_it_is_there_before_the_tasks_and_has_their_last_lines(machine):
    script = "trap 'echo ends; exit 0' TERM; echo begins; while :; do sleep 0.1; done"
    up(machine, shell("app", script, driver="raw_exec"))
    directory = logs(machine, "r0-app")
    machine.until(f"grep -q begins {directory}/stdout.log")
    machine.fleet.reboot(machine.name)
    machine.until(f"[ $(grep -c begins {directory}/stdout.log) = 2 ]")
    assert machine.sh(f"cat {directory}/stdout.log").split() == ["begins", "ends", "begins"]
    # Proxies and others have places of their own there.
    assert machine.sh("stat -c %a /run/k8s4r /run/k8s4r/logs").split() == ["755", "700"]
    entered = "systemctl show -p ActiveEnterTimestampMonotonic --value"
    task = machine.sh("systemctl list-units --plain --no-legend 'k8s4r-task-*' | cut -d' ' -f1 | head -n 1").strip()
    first, second = (int(machine.sh(f"{entered} {unit}")) for unit in (ROTATOR, task))
    assert first < second


def test_a_socket_that_is_first_after_a_boot_closes_nothing_to_others(machine):
    up(machine, shell("app", SAYS))
    socket = machine.sh("systemctl list-units --plain --no-legend 'k8s4r-log-*.socket' | cut -d' ' -f1").strip()
    machine.sh(f"systemctl stop 'k8s4r-task-*' {socket} {ROTATOR}; rm -r /run/k8s4r/*; rmdir /run/k8s4r; systemctl start {socket}")
    assert machine.sh("stat -c %a /run/k8s4r").strip() == "755"
    machine.sh(f"systemctl start {ROTATOR}")
    assert machine.sh("stat -c %a /run/k8s4r /run/k8s4r/logs").split() == ["755", "700"]


def test_systemd_knows_all_that_the_first_task_of_a_robot_brings(machine):
    """It is not made to read its files anew for each of them; but it must, before somebody asks it for what it starts at boot."""
    assert machine.deploy(without_groups(up(machine, writer("a", 1))))["status"] == "committed"
    assert machine.sh(f"systemctl show --value -p LoadState {ROTATOR}").strip() == "not-found"
    up(machine, writer("a", 1))
    wanted = machine.sh("systemctl show --value -p Wants multi-user.target").split()
    assert ROTATOR in wanted
    assert [name for name in wanted if name.startswith("k8s4r-group-logs-g-")]
    assert set(machine.sh("systemctl show --value -p NeedDaemonReload 'k8s4r-*'").split()) == {"no"}


TALKS = "while :; do echo said; sleep 0.2; done"
FIFOS = "/run/k8s4r/logs"


@pytest.mark.parametrize("harm", ["rm -rf {0}", "rm {0}/logs-g-r0-one-*", "rm -rf {0}; mkdir -m 700 {0}"])
def test_fifos_that_somebody_has_removed_are_named_and_come_back_with_the_next_run(machine, harm):
    plan = up(machine, shell("one", TALKS), shell("two", SAYS), initTasks=[shell("prepares", "echo ready")])
    directory, mine = logs(machine, "r0-one"), "k8s4r-task-logs-g-r0-one-*"
    machine.until(f"grep -q said {directory}/stdout.log")
    unit = machine.sh(f"systemctl list-units --plain --no-legend '{mine}' | cut -d' ' -f1").strip()
    pids = {name: machine.sh(f"systemctl show -p MainPID --value 'k8s4r-task-logs-g-r0-{name}-*'").strip() for name in ("one", "two")}
    lost = f"{FIFOS}/{unit[len('k8s4r-task-') : -len('.service')]}.stdout"
    machine.sh(harm.format(FIFOS))
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    assert lost in group["gone"]
    assert not any("prepares" in path for path in group["gone"])
    assert machine.ask(plan) == {"status": "plan-needed"}
    check = machine.prepare(plan, check=True)
    why = [change["why"] for change in check["summary"] if change["unit"] == "r0 one"]
    assert why == [[f"{lost} of its log is missing"]]
    done = machine.deploy(plan)
    assert (done["status"], done["changes"]) == ("committed", check["steps"])
    assert any(text.startswith("restart") and unit in text and lost in text for text in done["changes"])
    machine.sh(f": > {directory}/stdout.log")
    machine.until(f"grep -q said {directory}/stdout.log")
    after = {name: machine.sh(f"systemctl show -p MainPID --value 'k8s4r-task-logs-g-r0-{name}-*'").strip() for name in ("one", "two")}
    # Only what had lost something has started again.
    assert (after["one"] != pids["one"], after["two"] != pids["two"]) == (True, "one" not in harm)
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    assert group["gone"] == []
    assert machine.ask(plan) == {"status": "unchanged"}


def test_where_fifos_are_lost_tasks_of_other_jobs_write_on_while_one_gets_its_own_back(machine):
    """A FIFO that nobody reads is full after 256 KiB, and then its program stands still."""
    others = "i=0; while :; do head -c 65536 /dev/zero; i=$((i+1)); echo $i >$NOMAD_ALLOC_DIR/turn; sleep 0.1; done"
    (other,) = plans(machine, {"name": "others", "taskGroups": [{"name": "g", "tasks": [shell("writes", others)]}]})
    assert machine.deploy(other)["status"] == "committed"
    plan = up(machine, shell("one", TALKS))
    directory, turn = logs(machine, "r0-one"), "cat /var/lib/k8s4r/groups/others-g-*/alloc/turn"
    machine.until(f"grep -q said {directory}/stdout.log")
    machine.sh(f"rm -rf {FIFOS}")
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh(f": > {directory}/stdout.log")
    machine.until(f"grep -q said {directory}/stdout.log")
    # It would have stood still before that.
    far = int(machine.sh(turn)) + 20
    machine.until(f"[ $({turn}) -ge {far} ]")
    assert machine.deploy(without_groups(other))["status"] == "committed"


def test_a_program_that_is_started_again_without_its_fifo_gets_it_back_with_the_next_run(machine):
    """systemd makes a file in its place, which nobody bounds."""
    plan = up(machine, shell("one", TALKS), restartPolicy={"attempts": 5, "delay": "0s", "interval": "1m"})
    directory = logs(machine, "r0-one")
    unit = machine.sh("systemctl list-units --plain --no-legend 'k8s4r-task-logs-g-r0-one-*' | cut -d' ' -f1").strip()
    fifo = f"{FIFOS}/{unit[len('k8s4r-task-') : -len('.service')]}.stdout"
    machine.sh(f"rm {FIFOS}/*; systemctl kill -s KILL {unit}")
    machine.until(f"[ -f {fifo} ] && systemctl is-active --quiet {unit}")
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    assert fifo in group["gone"]
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh(f": > {directory}/stdout.log")
    machine.until(f"[ -p {fifo} ] && grep -q said {directory}/stdout.log")
    assert machine.ask(plan) == {"status": "unchanged"}
