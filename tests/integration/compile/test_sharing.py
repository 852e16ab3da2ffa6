# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces that tasks of an instance share, looked at from inside, and what becomes of them, on every systemd that we support."""

from __future__ import annotations

import json
import typing as t

from tests.integration.compile.jobs import job, plans, shell, without_groups
from tests.integration.compile.looks import MAY, TELL
from tests.integration.engine.harness import Machine, pid

# Makes a message queue, and when all have, looks for the others' processes and queues. Each is known by the last word of its command.
LOOK = (
    MAY
    + """
import ctypes, socket, sys, time, zlib
names = sys.argv[1].split()
libc = ctypes.CDLL(None)

def queue(of, flags):
    return libc.msgget(zlib.crc32(of.encode()) >> 1, flags) >= 0

assert queue(name, 0o1666)
(alloc / (name + ".begun")).touch()
while not (alloc / "go").exists():
    time.sleep(0.05)
there = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = pathlib.Path("/proc", pid, "cmdline").read_text().split(chr(0))
    except OSError:
        continue
    there[pid] = words[-2] if len(words) > 1 else ""
found = {
    "pid": os.getpid(),
    "seen": sorted({word for word in there.values() if word in names}),
    "strangers": sorted({word for word in there.values() if word not in names}),
    "signalled": sorted({word for pid, word in there.items() if word in names and may(os.kill, int(pid), 0)}),
    "read": sorted({word for pid, word in there.items() if may(pathlib.Path("/proc", pid, "environ").read_bytes)}),
    "escapes": sorted({word for pid, word in there.items() if may(os.listdir, f"/proc/{pid}/root/etc/k8s4r")}),
    "queues": sorted(word for word in names if queue(word, 0)),
    "uts": os.readlink("/proc/self/ns/uts"),
    "host": socket.gethostname(),
}
"""
    + TELL
    + "time.sleep(1000)"
)

HELD = "systemctl list-units --plain --no-legend 'k8s4r-namespaces-*'"

SHARED = {"pid": "group", "ipc": "group", "uts": "group"}
# Of each group, its tasks.
GROUPS: dict[str, dict[str, dict[str, t.Any]]] = {
    "g": {
        "one": {"isolation": SHARED},
        "two": {"isolation": SHARED},
        "nobodys": {"isolation": SHARED, "user": "nobody"},
        "roots": {"isolation": SHARED, "user": "root"},
        "alone": {},
        "hosts": {"isolation": dict.fromkeys(SHARED, "host")},
    },
    "h": {"other": {"isolation": SHARED}, "raw": {"driver": "raw_exec"}},
}
NAMES = [name for tasks in GROUPS.values() for name in tasks]
SHARING = ["nobodys", "one", "roots", "two"]


def look(machine: Machine) -> dict[str, t.Any]:
    """What each task finds, and the robot's own namespace of host names."""
    machine.clean(engine=True)

    def program(name: str) -> dict[str, t.Any]:
        return {"execConfig": {"command": "python3", "args": ["-I", "-S", "-c", LOOK, " ".join(NAMES), name]}}

    groups = [{"name": g, "tasks": [{"name": n, "config": program(n), **keys} for n, keys in tasks.items()]} for g, tasks in GROUPS.items()]
    [plan] = plans(machine, {"name": "share", "taskGroups": groups})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    directory = "/var/lib/k8s4r/groups/share"
    machine.until(f"[ $(ls {directory}-*/alloc/*.begun | wc -l) = {len(NAMES)} ]")
    machine.sh(f"for alloc in {directory}-*/alloc; do touch $alloc/go; done")
    machine.until(f"[ $(ls {directory}-*/alloc/*.json | wc -l) = {len(NAMES)} ]")
    found: dict[str, t.Any] = {name: json.loads(machine.sh(f"cat {directory}-*/alloc/{name}.json")) for name in NAMES}
    found["robot"] = machine.sh("readlink /proc/self/ns/uts").strip()
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    found["left"] = machine.sh(f"ls -A /run/k8s4r/namespaces; sed -n '\\#k8s4r/namespaces#p' /proc/mounts; {HELD}")
    return found


def of(found: dict[str, t.Any], what: str, names: t.Sequence[str] | None = None) -> dict[str, t.Any]:
    return {name: found[name][what] for name in names or SHARING}


def test_tasks_that_share_processes_see_one_another_and_no_others(found):
    assert of(found, "seen", [*SHARING, "other", "alone"]) == {**dict.fromkeys(SHARING, SHARING), "other": ["other"], "alone": ["alone"]}
    # What holds the namespace.
    assert of(found, "strangers", [*SHARING, "other"]) == {name: ["infinity"] for name in (*SHARING, "other")}
    # Who sees all that there is.
    assert found["raw"]["seen"] == sorted(NAMES)


def test_process_ids_are_unique_among_tasks_that_share_them_and_none_is_of_the_first(found):
    """Programs that take their process ID for an identity, as DDS does, meet on the robot's network."""
    asked = [*SHARING, "other"]
    ids = set(of(found, "pid", asked).values())
    assert len(ids) == len(asked)
    # Not the first ones of a namespace. What the robot itself has numbered by now, nobody knows.
    assert min(ids) > 1000
    assert found["hosts"]["pid"] != found["raw"]["pid"]
    assert found["alone"]["pid"] == 2


def test_a_task_reaches_those_of_its_own_user_and_through_none_what_is_hidden_from_it(found):
    reached = {"one": ["one", "two"], "two": ["one", "two"], "nobodys": ["nobodys"], "roots": ["roots"]}
    assert of(found, "signalled") == of(found, "read") == reached
    confined = [*SHARING, "alone", "hosts"]
    assert of(found, "escapes", confined) == {name: [] for name in confined}
    assert "raw" in found["raw"]["escapes"]


def test_message_queues_are_those_of_the_tasks_that_share_them(found):
    others = {"alone": ["alone"], "other": ["other"], "hosts": ["hosts", "raw"], "raw": ["hosts", "raw"]}
    assert of(found, "queues", NAMES) == {**dict.fromkeys(SHARING, SHARING), **others}


def test_host_names_are_those_of_the_tasks_that_share_them(found):
    assert len(set(of(found, "uts").values())) == 1
    assert len({found[name]["uts"] for name in ("one", "alone", "other", "hosts")}) == 4
    assert of(found, "uts", ["hosts", "raw"]) == dict.fromkeys(["hosts", "raw"], found["robot"])
    assert len({found[name]["host"] for name in NAMES}) == 1


def test_nothing_is_left_of_namespaces_when_their_group_goes(found):
    assert found["left"] == ""


HOLDER = "k8s4r-namespaces-life-g-*-r0.service"
GROUP = {"isolation": {"pid": "group"}}


def members(machine: Machine) -> dict[str, tuple[str, str]]:
    """Of each task, by the time that its program sleeps, its process ID and the namespace that it is in, as the robot has them."""
    look = "for p in $(pgrep -f '^sleep 1000[0-9]$'); do echo $(tr '\\0' ' ' </proc/$p/cmdline) $p $(readlink /proc/$p/ns/pid); done"
    found = (line.split()[1:] for line in machine.sh(look).splitlines())
    return {program: (number, namespace) for program, number, namespace in found}


def units(plan: dict[str, t.Any]) -> list[str]:
    return [r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "unit" and "-task-" in r["name"]]


def test_a_task_that_restarts_leaves_the_others_alone_and_takes_all_its_own_with_it(machine):
    leaves = "setsid sh -c '(exec sleep 10001) & (exec sleep 10001) &'; exec sleep 10002"
    plan = job(machine, "life", shell("leaves", leaves, **GROUP), shell("stays", "exec sleep 10003", **GROUP))
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("[ $(pgrep -cf '^sleep 1000[0-9]$') = 4 ]")
    before = members(machine)
    assert before["10002"][1] == before["10003"][1]
    # Killed as by the kernel for want of memory, stopped and started, and changed by a deployment.
    killed = machine.sh("pgrep -f '^sleep 1000[12]$'").split()
    machine.sh("pkill -KILL -xf 'sleep 10002'")
    # Until they are killed, those of before would be counted, or be gone by the time that they are looked at.
    machine.until(f"! kill -0 {killed[0]} && ! kill -0 {killed[1]} && ! kill -0 {killed[2]}")
    machine.until("[ $(pgrep -cf '^sleep 10002$') = 1 ] && [ $(pgrep -cf '^sleep 10001$') = 2 ]")
    assert members(machine)["10002"] != before["10002"]
    machine.sh(f"systemctl stop {units(plan)[0]}")
    machine.until("! pgrep -f '^sleep 1000[12]$' >/dev/null")
    plan = job(machine, "life", shell("leaves", leaves, env={"NEW": "1"}, **GROUP), shell("stays", "exec sleep 10003", **GROUP))
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("[ $(pgrep -cf '^sleep 1000[0-9]$') = 4 ]")
    after = members(machine)
    assert after["10003"] == before["10003"]
    assert after["10002"][1] == before["10003"][1]
    assert machine.ask(plan) == {"status": "unchanged"}


def test_when_what_holds_a_namespace_dies_its_tasks_meet_in_a_new_one(machine):
    tasks = [shell("one", "exec sleep 10001", **GROUP), shell("two", "exec sleep 10002", **GROUP), shell("own", "exec sleep 10003")]
    plan = job(machine, "life", *tasks)
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("[ $(pgrep -cf '^sleep 1000[0-9]$') = 3 ]")
    before = members(machine)
    for who in ("$(systemctl show -p MainPID --value {})", "$(pgrep -u 65535 sleep)"):
        gone = machine.sh("pgrep -f '^sleep 1000[12]$'").split()
        machine.sh(f"kill -KILL {who.format(HOLDER)}")
        # Until they are killed, those of before would be counted.
        machine.until(f"! kill -0 {gone[0]} && ! kill -0 {gone[1]} && [ $(pgrep -cf '^sleep 1000[12]$') = 2 ]")
        machine.until(" && ".join(f"systemctl is-active --quiet {name}" for name in units(plan)))
        after = members(machine)
        assert after["10001"][1] == after["10002"][1]
        assert after["10001"][0] != before["10001"][0]
        assert after["10003"] == before["10003"]
        before = after
    assert machine.ask(plan) == {"status": "unchanged"}
    machine.sh(f"systemctl stop {' '.join(units(plan))}")
    # It is needed by nobody.
    machine.until(f'[ -z "$({HELD})" ]')
    assert machine.sh("ls -A /run/k8s4r/namespaces") == ""


def test_a_task_that_is_to_share_nothing_any_more_is_asked_to_end_before_the_namespace_goes(machine):
    script = "trap 'sleep 1; : >$NOMAD_ALLOC_DIR/drained; exit' TERM; : >$NOMAD_ALLOC_DIR/up; while :; do sleep 0.1; done"
    assert machine.deploy(job(machine, "life", shell("one", script, killTimeout="20s", **GROUP)))["status"] == "committed"
    machine.until("ls /var/lib/k8s4r/groups/life-g-*/alloc/up >/dev/null 2>&1")
    assert machine.deploy(job(machine, "life", shell("one", script, killTimeout="20s")))["status"] == "committed"
    machine.sh("test -e /var/lib/k8s4r/groups/life-g-*/alloc/drained")
    assert machine.sh(HELD) == ""


def test_on_the_way_back_a_task_may_drain_too(machine):
    """Once when it is to share processes, and once when it is not to after all."""
    script = "trap 'sleep 1; echo x >>$NOMAD_ALLOC_DIR/drained; exit' TERM; : >$NOMAD_ALLOC_DIR/up; while :; do sleep 0.1; done"
    before = shell("one", script, killTimeout="20s")
    assert machine.deploy(job(machine, "life", before))["status"] == "committed"
    machine.until("ls /var/lib/k8s4r/groups/life-g-*/alloc/up >/dev/null 2>&1")
    machine.sh("rm /var/lib/k8s4r/groups/life-g-*/alloc/up")
    # By then, the other one is up again in its new place.
    policy = {"restartPolicy": {"attempts": 0, "mode": "fail"}}
    bad = shell("bad", "until [ -e $NOMAD_ALLOC_DIR/up ]; do sleep 0.1; done; exit 3", **GROUP, **policy)
    assert machine.deploy(job(machine, "life", {**before, **GROUP}, bad, update={"minHealthyTime": "60s"}))["status"] == "rolled-back"
    assert machine.sh("cat /var/lib/k8s4r/groups/life-g-*/alloc/drained").split() == ["x", "x"]


def test_hooks_and_batch_tasks_share_processes_and_leave_nothing(machine):
    """What holds the namespace is there for the last hook, and not after it."""
    note = "echo $NOMAD_TASK_NAME $(cat /proc/1/comm) >>$NOMAD_ALLOC_DIR/notes"
    hooks = [shell(hook, note, lifecycle={"hook": hook}, **GROUP) for hook in ("prestart", "poststop")]
    plan = job(machine, "life", *hooks, shell("main", f"{note}; sleep 1", **GROUP), type="batch")
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("grep -qs poststop /var/lib/k8s4r/groups/life-g-*/alloc/notes")
    assert machine.sh("cat /var/lib/k8s4r/groups/life-g-*/alloc/notes").splitlines() == [
        f"{name} sleep" for name in ("prestart", "main", "poststop")
    ]
    machine.until(f'[ -z "$({HELD})" ]')
    machine.absent("systemctl --failed --no-legend | grep k8s4r")


def test_how_a_program_ends_is_told_as_it_is(machine):
    """And what it leaves behind becomes no zombie."""
    scripts = {"well": "exit 0", "badly": "exit 7", "broken": "kill -SEGV $$", "asked": "kill -TERM $$"}
    policy = {"restartPolicy": {"attempts": 0, "mode": "fail"}, "killTimeout": "60s"}
    orphan = shell("orphan", "setsid sh -c '(sleep 0.1) & exit'; exec sleep 10001", **GROUP)
    plan = job(
        machine,
        "life",
        orphan,
        *(shell(n, f"while [ ! -e $NOMAD_ALLOC_DIR/go ]; do sleep 0.1; done; {s}", **GROUP, **policy) for n, s in scripts.items()),
    )
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh("for alloc in /var/lib/k8s4r/groups/life-g-*/alloc; do touch $alloc/go; done")
    shown = {}
    for name in scripts:
        (unit,) = [each for each in units(plan) if f"-{name}-" in each]
        machine.down(unit)
        shown[name] = machine.sh(f"systemctl show -p Result -p ExecMainStatus --value {unit}").split()
    assert {name: sorted(values) for name, values in shown.items()} == {
        "well": ["0", "success"],
        "badly": ["7", "exit-code"],
        "broken": ["11", "signal"],
        "asked": ["15", "success"],
    }
    machine.until("! ps -eo stat= | grep -q Z")


def test_what_holds_the_namespaces_takes_less_than_0_8_mb(machine):
    plan = job(machine, "life", shell("one", "exec sleep 10001", **GROUP))
    assert machine.deploy(plan)["status"] == "committed"
    cgroup = f"/sys/fs/cgroup/systemd$(systemctl show -p ControlGroup --value '{HOLDER}')/cgroup.procs"
    sizes = machine.sh(f"for each in $(cat {cgroup}); do sed -n 's/^Pss: *//p' /proc/$each/smaps_rollup; done").split()
    assert 0 < sum(int(size) for size in sizes if size.isdigit()) < 800, sizes
    assert pid(machine, units(plan)[0])
