# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks with users of their own, who may think that they are root: looked at from inside, and from the robot."""

from __future__ import annotations

import json
import typing as t

from tests.integration.compile.jobs import job, plans, shell
from tests.integration.compile.looks import MAY, TELL
from tests.integration.engine.harness import Machine

# A file and a process of root's, and a file and a device for members of a Unix group.
PREPARE = """
getent group k8stest >/dev/null || groupadd --system k8stest
mkdir -p /srv/users; cd /srv/users
echo secret >roots; chmod 600 roots
echo shared >members; chown root:k8stest members; chmod 640 members
rm -f /dev/k8stest-one; mknod -m 660 /dev/k8stest-one c 10 200; chgrp k8stest /dev/k8stest-one
pkill -xf 'sleep 30001'
setsid sleep 30001 >/dev/null 2>&1 &
"""
# Whoever shares the robot's process IDs is told that of a stranger.
LOOK = (
    MAY
    + """
import ctypes, json, time
libc = ctypes.CDLL(None, use_errno=True)
home = os.environ["NOMAD_TASK_DIR"]

def mount(place):
    if libc.mount(b"none", place.encode(), b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno())

def reaches(pid):
    return os.listdir(f"/proc/{pid}/root"), open(f"/proc/{pid}/environ").read()

def open_device():
    try:
        os.close(os.open("/dev/k8stest-one", os.O_RDWR))
    except (FileNotFoundError, PermissionError):
        raise
    except OSError:
        # Whether the robot has its driver is another matter.
        pass

made = pathlib.Path(alloc, "made-by-" + name)
made.touch()
(alloc / (name + ".begun")).touch()
while not (alloc / "go").exists():
    time.sleep(0.05)
there = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        there[pathlib.Path("/proc", pid, "cmdline").read_text().split(chr(0))[-2]] = int(pid)
    except (OSError, IndexError):
        pass
stranger, me = json.loads((alloc / "go").read_text()), os.getuid()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found = {
    "map": [open(f"/proc/self/{kind}_map").read().split() for kind in ("uid", "gid")],
    "setgroups": open("/proc/self/setgroups").read().strip(),
    "me": [me, os.getgid()],
    "called": [os.environ[variable] for variable in ("HOME", "USER", "LOGNAME")],
    "etc": os.stat("/etc").st_uid,
    "own": [os.stat(place).st_uid == me for place in (home, made)],
    "privileges": sorted({status[key].strip() for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")}),
    "bounds": status["CapBnd"].strip(),
    "closed": [place for place in OWN if not may(write, place)],
    "written": [place for place in ("/etc", "/run", "/srv/users", "/var/lib/k8s4r") if may(write, place)],
    "read": [path for path in ("/srv/users/roots", "/srv/users/members") if may(lambda: open(path).close())],
    "given away": [whom for whom in ((0, -1), (1, -1), (-1, 1), (-1, 4)) if whom[0] != me and may(os.chown, made, *whom)],
    "mounted": [place for place in ("/etc", "/usr", "/mnt", home) if may(mount, place)],
    "signalled": may(os.kill, stranger, 0),
    "siblings": {word: [may(os.kill, pid, 0), may(reaches, pid)] for word, pid in there.items() if word.startswith("plain")},
    "device": may(open_device),
    # The last ones: who may, has become somebody else.
    "groups": may(os.setgroups, []),
    "become": [uid for uid in (1, 5, 65534, 0) if uid != me and may(os.setuid, uid)],
}
"""
    + TELL
    + "time.sleep(1000)"
)


def task(name: str, *, user: str = "", groups: t.Sequence[str] = (), devices: t.Sequence[str] = (), **isolation: str) -> dict[str, t.Any]:
    keys = {"user": user, "groups": groups, "devices": devices, "isolation": isolation}
    program = {"execConfig": {"command": "python3", "args": ["-I", "-S", "-c", LOOK, name]}}
    return {"name": name, "config": program, **{key: value for key, value in keys.items() if value}}


TASKS = [
    task("same", users="own"),
    task("root", user="root", users="own"),
    task("nobody", user="nobody", users="own"),
    task("group", users="own", pid="group", ipc="group", uts="group"),
    task("group-root", user="root", users="own", pid="group"),
    task("host", users="own", pid="host", ipc="host", uts="host"),
    task("host-root", user="root", users="own", pid="host"),
    task("private", users="own", files="private"),
    task("chroot", users="own", files="chroot"),
    task("chroot-root", user="root", users="own", files="chroot"),
    task("member", user="root", users="own", groups=["k8stest"], devices=["/dev/k8stest-one"]),
    # Without a namespace: what the others are compared with.
    task("plain", pid="group"),
    task("plain-root", user="root"),
]
OWN = [each["name"] for each in TASKS if not each["name"].startswith("plain")]
ROOTS = [each["name"] for each in TASKS if each["name"] in OWN and each.get("user") == "root"]


def look(machine: Machine) -> dict[str, t.Any]:
    """What each task finds, and what the robot has of them."""
    machine.clean(engine=True)
    machine.sh(PREPARE)
    [plan] = plans(machine, {"name": "users", "taskGroups": [{"name": "g", "tasks": TASKS}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    alloc = machine.sh("echo /var/lib/k8s4r/groups/users-g-*/alloc").strip()
    machine.until(f"[ $(ls {alloc}/*.begun | wc -l) = {len(TASKS)} ]")
    machine.sh(f"pgrep -xf 'sleep 30001' >{alloc}/go.part && mv {alloc}/go.part {alloc}/go")
    machine.until(f"[ $(ls {alloc}/*.json | wc -l) = {len(TASKS)} ]")
    found: dict[str, t.Any] = {each["name"]: json.loads(machine.sh(f"cat {alloc}/{each['name']}.json")) for each in TASKS}
    found["owners"] = dict(line.split() for line in machine.sh(f"cd {alloc}; stat -c '%n %U' made-by-*").splitlines())
    found["user"] = next(r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "user")
    found["numbers"] = [int(machine.sh(f"id {option} {found['user']}")) for option in ("-u", "-g")]
    assert machine.ask(plan)["status"] == "unchanged"
    machine.sh("pkill -xf 'sleep 30001'")
    return found


def others(found: dict[str, t.Any], what: str, value: t.Any, names: t.Sequence[str] = OWN) -> dict[str, t.Any]:
    """Those who found something else, and what."""
    return {name: found[name][what] for name in names if found[name][what] != value}


def test_the_user_is_the_only_one_that_there_is(found):
    uid, gid = found["numbers"]
    inside = {"nobody": (65534, gid), **dict.fromkeys(ROOTS, (0, 0))}
    for name in OWN:
        me, mine = inside.get(name, (uid, gid))
        outer = 65534 if name == "nobody" else uid
        assert found[name]["map"] == [[str(me), str(outer), "1"], [str(mine), str(gid), "1"]], name
        assert found[name]["me"] == [me, mine], name
    # Root's files are nobody's, and its own are its own.
    assert others(found, "etc", 65534) == others(found, "own", [True, True]) == {}
    assert found["plain"]["etc"] == 0


def test_it_can_become_nobody_else_and_has_no_privilege_even_there(found):
    assert others(found, "become", []) == others(found, "given away", []) == others(found, "mounted", []) == {}
    assert others(found, "groups", False) == others(found, "setgroups", "deny") == {}
    assert others(found, "privileges", ["0" * 16]) == others(found, "bounds", "0" * 16, ROOTS) == {}


def test_it_is_called_as_it_sees_itself(found):
    names = {"nobody": "nobody", **dict.fromkeys(ROOTS, "root")}
    for name in OWN:
        home, *called = found[name]["called"]
        assert called == [names.get(name, found["user"])] * 2, name
        assert home.endswith("/local"), name


def test_what_it_makes_is_the_groups_on_the_robot_and_it_writes_to_its_own_directories(found):
    made = {f"made-by-{name}": found["user"] for name in OWN}
    assert found["owners"] == {**made, "made-by-nobody": "nobody", "made-by-plain": found["user"], "made-by-plain-root": "root"}
    assert others(found, "closed", []) == others(found, "written", []) == {}


def test_root_there_reads_nothing_of_roots_and_members_of_groups_what_is_theirs(found):
    assert found["plain-root"]["read"] == ["/srv/users/roots", "/srv/users/members"]
    assert others(found, "read", []) == {"member": ["/srv/users/members"]}
    assert others(found, "device", False) == {"member": True}


def test_it_signals_no_other_users_processes(found):
    assert others(found, "signalled", False, ["host", "host-root"]) == {}


def test_it_signals_those_of_its_user_and_looks_into_none(found):
    assert others(found, "siblings", {"plain": [True, False]}, ["group", "group-root"]) == {}
    # Among the robot's processes, what it may not look into is hidden.
    assert others(found, "siblings", {}, ["host", "host-root"]) == {}
    assert found["plain"]["siblings"]["plain"] == [True, True]


WAYS: dict[str, dict[str, t.Any]] = {
    f"{pid}{user}": {"isolation": {"users": "own", "pid": pid}, **({"user": user} if user else {})}
    for pid in ("own", "group", "host")
    for user in ("", "root")
}


def units(plan: dict[str, t.Any]) -> dict[str, str]:
    """The unit of each task, by the task's name."""
    found = [r for r in plan["groups"][0]["resources"] if r["kind"] == "unit" and "-task-" in r["name"]]
    return {r["called"].removeprefix("r0 "): r["name"] for r in found}


def test_a_program_is_asked_to_end_and_may_drain(machine):
    script = "me=$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME; trap ': >$me.drained; exit' {}; : >$me.up; while :; do sleep 0.1; done"
    signals = dict(zip(WAYS, ("INT", "TERM", "USR1", "INT", "TERM", "USR1"), strict=True))
    keys = {name: {"killSignal": f"SIG{signal}", "killTimeout": "20s", **WAYS[name]} for name, signal in signals.items()}
    plan = job(machine, "ends", *(shell(name, script.format(signal), **keys[name]) for name, signal in signals.items()))
    assert machine.deploy(plan)["status"] == "committed"
    alloc = machine.sh("echo /var/lib/k8s4r/groups/ends-g-*/alloc").strip()
    machine.until(f"[ $(ls {alloc}/*.up | wc -l) = {len(WAYS)} ]")
    machine.sh(f"systemctl stop {' '.join(units(plan).values())}")
    assert machine.sh(f"cd {alloc}; ls *.drained").split() == sorted(f"{name}.drained" for name in WAYS)
    machine.gone("NOMAD_ALLOC_DIR")
    assert {machine.sh(f"systemctl show -p Result --value {name}").strip() for name in units(plan).values()} == {"success"}


# What systemd says of each; a shell tells it of a signal where the program is in a namespace of its own.
ENDS = {
    "well": ("exit 0", ["0", "success"], ["0", "success"]),
    "badly": ("exit 7", ["7", "exit-code"], ["7", "exit-code"]),
    "broken": ("kill -SEGV $$", ["11", "signal"], ["139", "exit-code"]),
    "asked": ("kill -TERM $$", ["15", "success"], ["143", "success"]),
}


def test_how_a_program_ends_is_told_as_it_is(machine):
    # On a busy machine systemd takes its time to see all of them end.
    policy = {"restartPolicy": {"attempts": 0, "mode": "fail"}, "killTimeout": "60s"}
    wait = "while [ ! -e $NOMAD_ALLOC_DIR/go ]; do sleep 0.1; done"
    tasks = [shell(f"{way}-{end}", f"{wait}; {how}", **keys, **policy) for way, keys in WAYS.items() for end, (how, *_told) in ENDS.items()]
    plan = job(machine, "ends", *tasks)
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh("touch $(echo /var/lib/k8s4r/groups/ends-g-*/alloc)/go")
    shown = {}
    for name, unit in units(plan).items():
        machine.down(unit)
        shown[name] = sorted(machine.sh(f"systemctl show -p Result -p ExecMainStatus --value {unit}").split())
    assert shown == {f"{way}-{end}": told[way.startswith("own")] for way in WAYS for end, (_how, *told) in ENDS.items()}


def test_a_task_that_crashes_starts_again(machine):
    plan = job(machine, "ends", *(shell(name, "exec sleep 30002", **keys) for name, keys in WAYS.items()))
    assert machine.deploy(plan)["status"] == "committed"
    machine.processes(len(WAYS), "sleep 30002")
    machine.sh("pkill -KILL -xf 'sleep 30002'")
    for unit in units(plan).values():
        machine.until(f"[ $(systemctl show -p NRestarts --value {unit}) = 1 ]")
    machine.processes(len(WAYS), "sleep 30002")
    assert machine.ask(plan)["status"] == "unchanged"
