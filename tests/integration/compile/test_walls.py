# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task sees, and may change, of its robot and of other groups: looked at from inside, on every systemd that we support."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.integration.compile.jobs import plans, without_groups
from tests.integration.compile.looks import MAY, TELL, Once
from tests.integration.engine.harness import Machine

# Open to everybody by its mode, and where somebody might look for a place to write.
OPEN = ("/run/open", "/run/lock", "/home", "/srv/open", "/var/log/open", "/mnt")
PREPARE = (
    f"for place in {' '.join(OPEN)}; do mkdir -p $place; chmod 1777 $place; done;"
    " mountpoint -q /mnt || mount -t tmpfs -o mode=1777 none /mnt;"
    # As a user's manager has it who is logged in.
    " systemctl is-active --quiet k8s4r-test-bus || systemd-run --quiet --unit k8s4r-test-bus python3 -c"
    ' \'import os, socket, time; os.makedirs("/run/user/4000", exist_ok=True); held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);'
    ' held.bind("/run/user/4000/bus"); os.chmod("/run/user/4000/bus", 0o666); time.sleep(1e6)\';'
    " until [ -S /run/user/4000/bus ]; do sleep 0.1; done;"
    " rm -rf /run/spire; rm -f /dev/shm/robot; touch /dev/shm/robot; mountpoint -q /dev/mqueue"
)

# Leaves its mark where tasks might meet, and when it is told to, looks around.
PROGRAM = (
    MAY
    + """
import pty, socket, sys, time
for place in ("/dev/shm", "/var/tmp"):
    pathlib.Path(place, "by-" + name).touch()
(alloc / (name + ".begun")).touch()
while not (alloc / "go").exists():
    time.sleep(0.05)

def connect(path):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as pipe:
            if may(pipe.connect, path):
                return
    raise OSError

def seen(place):
    return sorted(os.listdir(place))

PLACES = sys.argv[1:] + ["/", "/run", "/run/k8s4r", "/run/systemd/system", "/run/user", "/dev", "/dev/mqueue", "/root", "/etc",
    "/etc/systemd/system", "/usr", "/boot", "/sys/kernel", "/var/lib/k8s4r", os.path.dirname(os.environ["NOMAD_TASK_DIR"])]
FILES = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/mm/transparent_hugepage/enabled"]
HIDDEN = ["/root", "/run/spire", "/run/k8s4r", "/run/systemd/units", "/dev/mqueue", "/etc/k8s4r", "/etc/spire"]
SOCKETS = ["/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/user/4000/bus"]
found = {
    "written": [place for place in PLACES if may(write, place)],
    "own": [place for place in OWN if not may(write, place)],
    "opened": [path for path in FILES if may(lambda: os.close(os.open(path, os.O_WRONLY)))],
    "listed": [place for place in HIDDEN if may(seen, place)],
    "connected": [path for path in SOCKETS if may(connect, path)],
    "shm": [mark for mark in seen("/dev/shm") if mark.startswith("by-") or mark == "robot"],
    "var/tmp": [mark for mark in seen("/var/tmp") if mark.startswith("by-")],
    "groups": may(seen, "/var/lib/k8s4r/groups") and len(seen("/var/lib/k8s4r/groups")),
    "ipc": os.readlink("/proc/self/ns/ipc"),
    "terminal": may(pty.openpty),
    "log": may(connect, "/dev/log"),
    "names": may(lambda: open("/etc/resolv.conf").close()),
}
"""
    + TELL
    + "time.sleep(1000)"
)


def task(name: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"name": name, "config": {"execConfig": {"command": "python3", "args": ["-I", "-S", "-c", PROGRAM, *OPEN]}}, **keys}


GROUPS = [
    {
        "name": "g",
        "tasks": [
            task("one"),
            task("other", user="nobody"),
            task("root", user="root"),
            task("shares", isolation={"ipc": "host"}),
            task("shares-as-root", user="root", isolation={"ipc": "host"}),
            task("raw", driver="raw_exec"),
        ],
    },
    {"name": "h", "tasks": [task("neighbour"), task("raw-neighbour", driver="raw_exec")]},
]
EXEC = ("one", "other", "root", "shares", "shares-as-root", "neighbour")
AS_ROOT = ("root", "shares-as-root")
RAW = ("raw", "raw-neighbour")


def look(machine: Machine) -> dict[str, t.Any]:
    machine.clean(engine=True)
    machine.sh(PREPARE)
    [plan] = plans(machine, {"name": "walls", "taskGroups": GROUPS})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    names = [member["name"] for group in GROUPS for member in group["tasks"]]
    there = "[ $(ls /var/lib/k8s4r/groups/*/alloc/*.{} | wc -l) = {} ]"
    machine.until(there.format("begun", len(names)))
    # The agent may come later than a task.
    machine.sh("mkdir -p -m 755 /run/spire/sockets; for alloc in /var/lib/k8s4r/groups/*/alloc; do touch $alloc/go; done")
    machine.until(there.format("json", len(names)))
    found = {name: json.loads(machine.sh(f"cat /var/lib/k8s4r/groups/walls-*/alloc/{name}.json")) for name in names}
    found["robot"] = machine.sh("readlink /proc/self/ns/ipc").strip()
    # As after a boot: the group's memory is gone, and the next start makes it again.
    machine.sh("systemctl stop 'k8s4r-task-*' 'k8s4r-memory-*'; umount /run/k8s4r/memory/*; rm -r /run/k8s4r/memory")
    machine.sh("rm -r /var/lib/k8s4r/groups/*/alloc/*.begun")
    machine.sh("systemctl start $(systemctl list-units --plain --no-legend 'k8s4r-group-walls-*' | cut -d' ' -f1)")
    machine.until(there.format("begun", len(names)))
    assert machine.ask(plan)["status"] == "unchanged"
    removed = machine.deploy(without_groups(plan))
    assert removed["status"] == "committed", removed
    found["left"] = machine.sh("ls -A /run/k8s4r/memory; sed -n '\\,k8s4r/memory,p' /proc/mounts")
    return found


@pytest.fixture(scope="module")
def robots() -> Once:
    return Once(look)


@pytest.fixture
def found(robots, distros, request):
    return robots.found(Machine(distros, request.param))


def pytest_generate_tests(metafunc):
    if "found" in metafunc.fixturenames:
        metafunc.parametrize("found", ("bullseye", "bookworm", "trixie"), indirect=True)


def of(found: dict[str, t.Any], names: t.Sequence[str], what: str) -> dict[str, t.Any]:
    """Those who found anything."""
    return {name: found[name][what] for name in names if found[name][what]}


QUEUES = {"shares": ["/dev/mqueue"], "shares-as-root": ["/dev/mqueue"]}
ROBOTS = ("shares", "shares-as-root", *RAW)


def test_exec_writes_to_its_own_directories_and_nowhere_else(found):
    assert of(found, (*EXEC, *RAW), "own") == {}
    assert of(found, EXEC, "written") == QUEUES


def test_raw_exec_has_a_temporary_directory_of_its_own_and_sees_the_rest(found):
    assert set(OPEN) <= set(found["raw"]["written"])
    assert found["raw"]["var/tmp"] == ["by-one", "by-other", "by-raw", "by-root", "by-shares", "by-shares-as-root"]
    assert found["raw-neighbour"]["var/tmp"] == ["by-neighbour", "by-raw-neighbour"]


def test_shared_memory_is_the_groups_own_unless_the_task_shares_the_robots(found):
    assert found["one"]["shm"] == found["other"]["shm"] == ["by-one", "by-other", "by-root"]
    assert found["neighbour"]["shm"] == ["by-neighbour"]
    robots = ["by-raw", "by-raw-neighbour", "by-shares", "by-shares-as-root", "robot"]
    assert [found[name]["shm"] for name in ROBOTS] == [robots] * len(ROBOTS)


def test_ipc_is_the_tasks_own_unless_it_shares_the_robots(found):
    assert {name for name in (*EXEC, *RAW) if found[name]["ipc"] == found["robot"]} == set(ROBOTS)


def test_what_others_own_is_hidden_from_exec(found):
    # Names of units, which systemd tells everybody.
    units = {name: ["/run/systemd/units"] for name in EXEC if name not in AS_ROOT}
    assert of(found, EXEC, "listed") == {name: units.get(name, []) + QUEUES.get(name, []) for name in {**units, **QUEUES}}
    assert "/run/spire" not in found["raw"]["listed"]


def test_root_under_exec_reaches_nothing_that_does_what_root_asks_for(found):
    assert of(found, AS_ROOT, "connected") == {}
    assert of(found, AS_ROOT, "opened") == {}


def test_no_manager_of_a_user_is_reached_that_would_start_programs_outside(found):
    reached = {name for name in (*EXEC, *RAW) if "/run/user/4000/bus" in found[name]["connected"]}
    assert reached == set(RAW)


def test_terminals_the_log_and_name_resolution_work_all_the_same(found):
    works = {name: [found[name][what] for what in ("terminal", "log", "names")] for name in (*EXEC, *RAW)}
    assert works == {name: [True] * 3 for name in works}


def test_nothing_in_memory_is_left_of_a_group_that_goes(found):
    assert found["left"] == ""
