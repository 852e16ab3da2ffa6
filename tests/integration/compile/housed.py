# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod of a container and a program of the robot, whoever runs the container: what both see, and what is left of it."""

from __future__ import annotations

import json
import typing as t

from tests.integration.compile.boxes import SOON, Engine
from tests.integration.compile.jobs import plans, without_groups
from tests.integration.compile.test_pods import LEFT
from tests.integration.engine.harness import LONGEST, Machine
from tests.robots.host import wait_for

ALLOC = "/var/lib/k8s4r/groups/box-g-*/alloc"
# The container: what it sees, and whom it reaches. It serves its name.
BOX = """
cd /alloc; while :; do echo box | nc -l -p 7002; done &
cat /proc/sys/kernel/hostname >box.host; cat /etc/hosts >box.hosts; cat /etc/resolv.conf >box.resolution; ls /sys/class/net >box.devices
echo $POD_IP $HOSTNAME $NOMAD_PORT_web >box.told; touch /dev/shm/box
echo 192.0.2.1 forged >>/etc/hosts || touch box.closed
until [ -e go ]; do sleep 0.1; done
nc localhost 7001 </dev/null >box.other; nc $HOSTNAME 7001 </dev/null >>box.other; ls /dev/shm >box.memory
while read address port; do nc -w 10 $address $port </dev/null; done <go >box.walls 2>/dev/null
touch box.done; wait
"""
# One of the robot's programs, which does the same.
APP = """
import os, pathlib, socket, threading, time
alloc = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"])
server = socket.create_server(("0.0.0.0", 7001))
def serve():
    while True:
        with server.accept()[0] as connection:
            connection.sendall(b"app\\n")
threading.Thread(target=serve, daemon=True).start()
pathlib.Path("/dev/shm/app").touch()
for name, place in {"host": "/proc/sys/kernel/hostname", "hosts": "/etc/hosts", "resolution": "/etc/resolv.conf"}.items():
    (alloc / ("app." + name)).write_text(pathlib.Path(place).read_text())
while not (alloc / "go").exists():
    time.sleep(0.1)
(alloc / "app.other").write_text(socket.create_connection(("127.0.0.1", 7002)).recv(9).decode())
(alloc / "app.done").touch()
time.sleep(10001)
"""
# Of another group: who reaches it is answered.
FAR = """
import socket
server = socket.create_server(("0.0.0.0", 7003))
while True:
    server.accept()[0].sendall(b"far\\n")
"""


def program(name: str, text: str) -> dict[str, t.Any]:
    return {"name": name, "config": {"execConfig": {"command": "python3", "args": ["-I", "-S", "-c", text]}}}


def job(machine: Machine, engine: Engine) -> dict[str, t.Any]:
    inside = 'test "$(cat /proc/sys/kernel/hostname)" = "$POD_NAME" && test -e /sys/class/net/eth0'
    check = {"name": "c", "type": "script", "command": "/bin/sh", "args": ["-c", inside], "interval": "1s", "timeout": "20s"}
    container = engine.box(BOX, services=[{"name": "box", "portLabel": "web", "checks": [check]}], Ports=[{"label": "web"}])
    first = {**engine.box("cat /proc/sys/kernel/hostname >/alloc/first"), "name": "first", "lifecycle": {"hook": "prestart"}}
    last = {**engine.box("cat /proc/sys/kernel/hostname >/alloc/last"), "name": "last", "lifecycle": {"hook": "poststop"}}
    network = {"type": "none", "mode": "group", "ports": [{"label": "web", "static": 8099, "to": 7002}]}
    far = {"name": "h", "network": {"type": "none", "mode": "group"}, "tasks": [program("far", FAR)]}
    groups = [{"name": "g", "network": network, "tasks": [first, container, program("app", APP), last]}, far]
    (plan,) = plans(machine, {"name": "box", "taskGroups": groups, "update": SOON})
    return plan


def pods(plan: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """What the robot is told of the pod of each group, by the group's name."""
    files = [each for group in plan["groups"] for each in group["resources"] if each.get("path", "").startswith("/etc/k8s4r/pods/")]
    found = [(each["path"].rpartition("/")[2], json.loads(each["content"])) for each in files]
    return {pod["group"].rpartition("/")[2]: {**pod, "id": id} for id, pod in found}


def noted(machine: Machine, who: str, what: str) -> str:
    return machine.sh(f"cat {ALLOC}/{who}.{what}")


def is_in(pod: str) -> str:
    """A condition: whether the container is in namespaces of its pod."""
    inside = "inside=$(cat /run/k8s4r/containers/box-g-r0-t-*/pid)"
    return (
        f"{inside} && [ /proc/$inside/ns/net -ef /run/netns/k8s4r-{pod} ] && [ /proc/$inside/ns/ipc -ef /run/k8s4r/namespaces/{pod}/ipc ]"
    )


def a_container_and_a_program_of_a_pod_are_together(machine: Machine, engine: Engine) -> None:
    left = machine.sh(LEFT)
    plan = job(machine, engine)
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    assert machine.ask(plan) == {"status": "unchanged"}
    found = pods(plan)
    pod, far = found["g"], found["h"]
    asks = 'timeout 5 bash -c "cat < /dev/tcp/{0}/{1}"'
    machine.until(f"{asks.format(far['address'], 7003)} | grep -qx far && [ -s {ALLOC}/app.resolution ]")
    # One that it may reach, and one that it may not.
    machine.execute(f"cat > $(echo {ALLOC})/go", f"{pod['address']} 7001\n{far['address']} 7003\n".encode())
    machine.until(f"[ -e {ALLOC}/box.done ] && [ -e {ALLOC}/app.done ]")
    assert noted(machine, "box", "walls") == "app\n"
    assert (noted(machine, "box", "other"), noted(machine, "app", "other")) == ("app\napp\n", "box\n")
    assert noted(machine, "box", "told").split() == [pod["address"], pod["name"], "7002"]
    assert {machine.sh(f"cat {ALLOC}/{each}") for each in ("first", "box.host", "app.host")} == {f"{pod['name']}\n"}
    for what in ("hosts", "resolution"):
        assert noted(machine, "box", what) == noted(machine, "app", what)
    assert f"{pod['address']} {pod['name']}\n" in noted(machine, "box", "hosts")
    machine.sh(f"test -e {ALLOC}/box.closed")
    assert noted(machine, "box", "devices").split() == ["eth0", "lo"]
    assert noted(machine, "box", "memory").split() == ["app", "box"]
    # What is published leads to it; another pod's port of that number would be its own.
    machine.until(f"{asks.format('127.0.0.1', 8099)} | grep -qx box")
    machine.sh(is_in(pod["id"]))
    (task,) = [task for group in machine.call(op="info")["taskgroups"] for task in group["tasks"] if task["task"] == "t"]
    assert [(check["name"], check["status"]) for check in task["checks"]] == [("c", "passing")]
    # Who holds the pod dies: all of it enters anew.
    (before,) = engine.containers(machine)
    machine.sh(f"kill -KILL $(systemctl show -p MainPID --value k8s4r-pod-{pod['id']}.service)")
    runs = f"{engine.name} ps -q --no-trunc"
    machine.until(f'[ -n "$({runs})" ] && ! {runs} | grep -q {before} && {is_in(pod["id"])}')
    states = "systemctl show -p ActiveState --value 'k8s4r-task-box-g-r0-*' | sort -u | xargs"
    machine.until(f'{asks.format("127.0.0.1", 8099)} | grep -qx box && [ "$({states})" = active ]')
    # What watches its tasks comes after them.
    wait_for(lambda: machine.ask(plan) == {"status": "unchanged"}, LONGEST, "a run would change something")
    machine.sh("systemctl stop 'k8s4r-group-box-*.target'")
    engine.nothing_runs(machine)
    assert machine.sh(f"cat {ALLOC}/last") == f"{pod['name']}\n"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    engine.nothing_runs(machine)
    assert machine.sh(LEFT) == left
