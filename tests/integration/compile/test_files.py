# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task sees of the robot's files, and what it may do as root may: looked at from inside, on every systemd that we support."""

from __future__ import annotations

import json
import typing as t

from tests.integration.compile.jobs import plans, without_groups
from tests.integration.compile.looks import MAY, TELL
from tests.integration.engine.harness import Machine

# Of each, a file that everybody may read and change.
PLACES = ("/etc", "/home/Walker", "/media/stick", "/mnt/disk", "/opt/robot", "/srv/maps", "/var/cache", "/var/log")
# Devices by the numbers of /dev/net/tun and /dev/console, as in test_hardware.py.
PREPARE = f"""
for place in {" ".join(PLACES)}; do mkdir -p $place; echo x >$place/k8stest; chmod 777 $place/k8stest; done
chmod 755 /home/Walker; cp /bin/sleep /opt/robot/sleep
getent group k8stest >/dev/null || groupadd --system k8stest
rm -f /dev/k8stest-*; mknod -m 660 /dev/k8stest-one c 10 200; mknod -m 660 /dev/k8stest-two c 5 1; chgrp k8stest /dev/k8stest-*
"""

LOOK = (
    MAY
    + """
import errno, pty, pwd, socket, subprocess, sys

def opened(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES, errno.ENOENT)
    return True

def connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pipe:
        pipe.connect(path)

status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
found = {
    "read": [path for path in sys.argv[1:] if may(pathlib.Path(path, "k8stest").read_bytes)],
    "changed": [path for path in sys.argv[1:] if may(pathlib.Path(path, "k8stest").write_text, "x")],
    "own": [place for place in OWN if not may(write, place)],
    "written": [place for place in ("/", "/etc", "/usr", "/dev", "/run", "/var", "/sys/kernel") if may(write, place)],
    "root": sorted(os.listdir("/")),
    "etc": sorted(os.listdir("/etc")),
    "state": sorted(os.listdir("/var/lib/k8s4r")),
    "home": may(os.listdir, "/root"),
    "devices": [path for path in ("/dev/null", "/dev/k8stest-one", "/dev/k8stest-two") if opened(path)],
    "seen": sorted(each for each in os.listdir("/dev") if each.startswith("k8stest")),
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "resolved": may(open, "/etc/resolv.conf"),
    "terminal": may(pty.openpty),
    "log": may(connect, "/dev/log"),
    "shell": subprocess.run(["sh", "-c", "exit 3"]).returncode,
    "nice": may(os.setpriority, os.PRIO_PROCESS, 0, -5),
    "raw": may(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    "capabilities": [status["Cap" + which].strip() for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")],
}
"""
    + TELL
    + 'os.execv(os.environ.get("THEN", "/bin/sleep"), ["sleep", "1000"])'
)

VOLUMES = {"volumes": [{"source": "/srv/maps", "target": "/srv/maps"}, {"source": "/opt/robot", "target": "/opt/robot", "readOnly": True}]}
DEVICES = {"groups": ["k8stest"], "devices": ["/dev/k8stest-one"]}
TASKS: dict[str, dict[str, t.Any]] = {
    "readonly": {"isolation": {"files": "readonly"}},
    "private": {"isolation": {"files": "private"}},
    "private-root": {"isolation": {"files": "private"}, "user": "root"},
    "private-more": {"isolation": {"files": "private", "pid": "group"}, **VOLUMES},
    "chroot": {"isolation": {"files": "chroot"}},
    "chroot-root": {"isolation": {"files": "chroot"}, "user": "root"},
    "chroot-more": {"isolation": {"files": "chroot", "ipc": "group"}, **VOLUMES, **DEVICES, "env": {"THEN": "/opt/robot/sleep"}},
    "able": {"isolation": {"capabilities": ["NET_BIND_SERVICE", "NET_RAW", "SYS_NICE"]}},
    "able-root": {"isolation": {"capabilities": ["NET_BIND_SERVICE"]}, "user": "root"},
    "able-group": {"isolation": {"capabilities": ["NET_BIND_SERVICE"], "pid": "group", "files": "private"}},
    "raw": {"driver": "raw_exec", "groups": ["k8stest"]},
}
EXEC = [name for name in TASKS if name != "raw"]


def look(machine: Machine) -> dict[str, t.Any]:
    machine.sh(PREPARE)
    program = {"execConfig": {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", LOOK, *PLACES]}}
    tasks = [{"name": name, "config": program, **keys} for name, keys in TASKS.items()]
    [plan] = plans(machine, {"name": "files", "taskGroups": [{"name": "g", "tasks": tasks}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    machine.until(f"[ $(ls /var/lib/k8s4r/groups/files-g-*/alloc/*.json | wc -l) = {len(TASKS)} ]")
    found = {name: json.loads(machine.sh(f"cat /var/lib/k8s4r/groups/files-g-*/alloc/{name}.json")) for name in TASKS}
    machine.until(f"systemctl is-active -q 'k8s4r-task-files-g-r0-chroot-more-*' && [ $(pgrep -cf 'sleep 1000$') -ge {len(TASKS)} ]")
    units = [r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "unit" and "-task-" in r["name"]]
    machine.sh(f"systemctl stop {' '.join(units)}")
    found["ends"] = {machine.sh(f"systemctl show -p Result -p ActiveState --value {unit}").replace("\n", " ").strip() for unit in units}
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    return found


def of(found: dict[str, t.Any], what: str, names: t.Iterable[str]) -> dict[str, t.Any]:
    return {name: found[name][what] for name in names}


SYSTEM = ["/etc", "/opt/robot", "/var/cache", "/var/log"]


def test_files_of_others_are_seen_or_hidden_and_never_changed(found):
    assert found["raw"]["read"] == found["raw"]["changed"] == list(PLACES)
    assert of(found, "read", EXEC) == {
        **{name: list(PLACES) for name in ("readonly", "able", "able-root")},
        **{name: list(SYSTEM) for name in ("private", "private-root", "able-group")},
        "private-more": ["/etc", "/opt/robot", "/srv/maps", "/var/cache", "/var/log"],
        "chroot": [],
        "chroot-root": [],
        "chroot-more": ["/opt/robot", "/srv/maps"],
    }
    changed = {name: [] for name in EXEC}
    assert of(found, "changed", EXEC) == {**changed, "private-more": ["/srv/maps"], "chroot-more": ["/srv/maps"]}
    assert of(found, "written", EXEC) == changed
    assert of(found, "home", EXEC) == dict.fromkeys(EXEC, False)


def test_a_root_that_is_built_has_nothing_else(found):
    known = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp", "usr", "var"}
    for name, more in (("chroot", set()), ("chroot-root", set()), ("chroot-more", {"opt", "srv"})):
        assert set(found[name]["root"]) - known == more, name
        assert {"bin", "etc", "lib", "usr"} <= set(found[name]["root"])
        assert {"passwd", "ld.so.cache", "nsswitch.conf"} <= set(found[name]["etc"])
        assert not {"shadow", "systemd", "ssh", "k8s4r", "k8stest"} & set(found[name]["etc"]), name
        assert set(found[name]["state"]) <= {"groups", "namespaces", "tasks"}
    assert {"shadow", "systemd", "k8stest"} <= set(found["readonly"]["etc"])


def test_what_is_the_tasks_own_works_behind_each_wall(found):
    assert of(found, "own", EXEC) == {name: [] for name in EXEC}
    for what in ("resolved", "terminal", "log"):
        assert of(found, what, EXEC) == dict.fromkeys(EXEC, True), what
    assert of(found, "shell", EXEC) == dict.fromkeys(EXEC, 3)
    assert {found[name]["user"] for name in EXEC if "root" not in name} == {found["raw"]["user"]}
    assert found["ends"] == {"success inactive"}


def test_a_root_that_is_built_has_devices_that_the_task_names(found):
    assert found["raw"]["devices"] == ["/dev/null", "/dev/k8stest-one", "/dev/k8stest-two"]
    assert of(found, "devices", ("chroot", "chroot-root")) == {name: ["/dev/null"] for name in ("chroot", "chroot-root")}
    assert of(found, "seen", ("chroot", "chroot-root")) == {name: [] for name in ("chroot", "chroot-root")}
    assert found["chroot-more"]["devices"] == ["/dev/null", "/dev/k8stest-one"]


def test_capabilities_are_those_of_the_job_and_no_others(found):
    numbers = {"able": [10, 13, 23], "able-root": [10], "able-group": [10]}
    for name in EXEC:
        mask = f"{sum(1 << number for number in numbers.get(name, [])):016x}"
        held = found[name]["capabilities"]
        assert held == [mask] * 5, (name, held)
    assert of(found, "nice", EXEC) == {name: name == "able" for name in EXEC}
    assert of(found, "raw", EXEC) == {name: name == "able" for name in EXEC}


def test_a_capability_that_the_robot_does_not_have_is_said_before_anything_changes(machine):
    """Robots that are containers have no WAKE_ALARM."""
    machine.absent("setpriv --dump | grep '^Capability bounding set: .*wake_alarm'")
    task = {"name": "a", "config": {"execConfig": {"command": "sleep", "args": ["9"]}}, "isolation": {"capabilities": ["WAKE_ALARM"]}}
    (plan,) = plans(machine, {"name": "files", "taskGroups": [{"name": "g", "tasks": [task]}]})
    result = machine.prepare(plan)
    said = (
        "files.yml: taskGroups[0].tasks[0].isolation.capabilities[0]: this robot does not have the capability WAKE_ALARM, not even for root"
    )
    assert result["status"] == "refused"
    assert [text.partition(";")[0] for text in result["errors"]] == [said]
