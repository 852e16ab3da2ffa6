# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods, looked at from inside and from their robot, on the oldest systemd and the newest: two instances of two tasks each."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import proxy_unit
from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.compile.looks import MAY, TELL
from tests.integration.engine.harness import Machine
from tests.robots import Fleet

machine = each_of(ENDS)

# Each serves its name at a port of the pod's loopback and at one of all its addresses, and looks when all do.
LOOK = (
    MAY
    + """
import ctypes, socket, sys, threading, time
index = os.environ["NOMAD_ALLOC_INDEX"]
who = name + index
port = {"one": 7001, "two": 7002}[name]

def serve(address):
    server = socket.create_server((address, port), family=family_of(address))
    while True:
        with server.accept()[0] as connection:
            connection.sendall(who.encode())

def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET

def ask(address, port):
    try:
        with socket.create_connection((address, port), 60) as connection:
            return connection.recv(99).decode()
    except OSError as error:
        return type(error).__name__

address = os.environ["POD_IP"]
address6 = os.environ["POD_IP6"]
# At once: no address is still being asked for.
for each in ("127.0.0.1", "::1", address, address6):
    threading.Thread(target=serve, args=(each,), daemon=True).start()
libc = ctypes.CDLL(None)
assert libc.msgget(int(index) + 70, 0o1666) >= 0
pathlib.Path("/dev/shm", who).touch()
(alloc / (who + ".begun")).write_text(address + " " + address6)
while not (alloc / "go").exists():
    time.sleep(0.05)
others = [path.read_text().split() for path in alloc.glob("*.begun") if path.read_text().split()[0] != address][0]
found = {
    "namespaces": {kind: os.readlink("/proc/self/ns/" + kind) for kind in ("net", "ipc", "uts", "pid")},
    "interfaces": sorted(name for _number, name in socket.if_nameindex()),
    "host": socket.gethostname(),
    "environment": {key: os.environ[key] for key in ("POD_NAME", "POD_IP", "POD_IP6", "HOSTNAME")},
    "loopback": [ask("127.0.0.1", 7001), ask("127.0.0.1", 7002), ask("localhost", 7001)],
    "own": ask(socket.gethostname(), 7002),
    "other": [ask(others[0], 7001), ask(others[0], 7002)],
    "other6": [ask(others[1], 7001), ask(others[1], 7002)],
    "own6": [ask("::1", 7001), ask(address6, 7002)],
    "named6": sorted(socket.getaddrinfo(host, 7001, socket.AF_INET6)[0][4][0] for host in (socket.gethostname(), sys.argv[1])),
    "robots": ask("127.0.0.1", 22),
    "queues": [number for number in (0, 1) if libc.msgget(number + 70, 0) >= 0],
    "memory": sorted(os.listdir("/dev/shm")),
    "hosts": pathlib.Path("/etc/hosts").read_text(),
    "resolution": pathlib.Path("/etc/resolv.conf").read_text(),
    "robot": socket.gethostbyname(sys.argv[1]),
    "printer": socket.gethostbyname("printer.example"),
}
name = who
"""
    + TELL
    + "time.sleep(1000)"
)
WHO = ["one0", "one1", "two0", "two1"]
DIRECTORY = "/var/lib/k8s4r/groups/pods-g-*/alloc"
# What of ours, and of the kernel's, could be left of pods.
LEFT = (
    "ip -o link show type bridge; ip netns list; find /run/netns /run/k8s4r/pods /run/k8s4r/namespaces /run/k8s4r/memory /etc/k8s4r/pods"
    " -mindepth 1 2>/dev/null; ls -d /run/k8s4r/pods /etc/k8s4r/pods 2>/dev/null; ip -o link | cut -d: -f2; ip -4 route;"
    " ip -6 rule; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/forwarding"
)
SIX = "fd4b:9a12:7c30::/64"


def job(machine: Machine, *tasks: dict[str, t.Any], pods6: str = "", **network: t.Any) -> dict[str, t.Any]:
    groups = [{"name": "g", "count": 2, "network": {"type": "none", "mode": "group", **network}, "tasks": tasks}]
    (plan,) = plans(machine, {"name": "pods", "taskGroups": groups}, pods6=pods6)
    return plan


def files(plan: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """What the robot is told of each pod, by its id."""
    found = [resource for resource in plan["groups"][0]["resources"] if resource.get("path", "").startswith("/etc/k8s4r/pods/")]
    return {resource["path"].rpartition("/")[2]: json.loads(resource["content"]) for resource in found}


def look(machine: Machine) -> dict[str, t.Any]:
    machine.clean(engine=True)
    left = machine.sh(LEFT)
    machine.sh(
        "cp /etc/resolv.conf /root/resolv.conf; printf 'nameserver 127.0.0.53\\nnameserver 192.0.2.53\\nsearch lan\\n' >/etc/resolv.conf"
    )
    config = {"execConfig": {"command": "python3", "args": ["-I", "-S", "-c", LOOK, machine.name]}}
    tasks = [{"name": name, "config": config} for name in ("one", "two")]
    plan = job(machine, *tasks, extraHosts={"printer.example": "192.0.2.90"}, pods6=SIX)
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    machine.until(f"[ $(ls {DIRECTORY}/*.begun | wc -l) = 4 ]")
    machine.sh(f"touch $(echo {DIRECTORY})/go")
    machine.until(f"[ $(ls {DIRECTORY}/*.json | wc -l) = 4 ]")
    found: dict[str, t.Any] = {name: json.loads(machine.sh(f"cat {DIRECTORY}/{name}.json")) for name in WHO}
    found["pods"] = files(plan)
    addresses = [pod[key] for key in ("address", "address6") for pod in found["pods"].values()]
    ask = "import socket,sys; print(socket.create_connection((sys.argv[1], 7001), 60).recv(9).decode())"
    found["from the robot"] = [machine.sh(f'python3 -c "{ask}" {address}').strip() for address in addresses]
    found["named"] = machine.sh("for each in $(ls /run/netns); do ip netns exec $each ip -o -4 addr show dev eth0; done")
    found["ports"] = machine.sh("for each in $(ls /sys/class/net/k8s4r0/brif); do cat /sys/class/net/k8s4r0/brif/$each/isolated; done")
    found["host"] = machine.sh("hostname").strip()
    found["again"] = machine.ask(plan)
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    found["left"] = (left, machine.sh(LEFT))
    machine.sh("cp /root/resolv.conf /etc/resolv.conf")
    return found


def of(found: dict[str, t.Any], what: str) -> dict[str, t.Any]:
    return {name: found[name][what] for name in WHO}


def test_tasks_of_a_pod_share_its_network_and_no_other_pod_does(found):
    networks = {name: spaces["net"] for name, spaces in of(found, "namespaces").items()}
    assert networks["one0"] == networks["two0"] != networks["one1"] == networks["two1"]
    assert list(of(found, "interfaces").values()) == [["eth0", "lo"]] * 4
    assert {name: asked[:2] for name, asked in of(found, "loopback").items()} == {
        f"{name}{index}": [f"one{index}", f"two{index}"] for name in ("one", "two") for index in (0, 1)
    }
    assert set(of(found, "robots").values()) == {"ConnectionRefusedError"}


def test_a_pod_has_one_address_at_which_its_robot_and_the_other_pod_reach_it(found):
    addresses = [pod["address"] for pod in found["pods"].values()]
    assert {name: each["POD_IP"] for name, each in of(found, "environment").items()} == {
        f"{name}{index}": addresses[index] for name in ("one", "two") for index in (0, 1)
    }
    assert found["from the robot"][:2] == ["one0", "one1"]
    assert of(found, "other") == {f"{name}{index}": [f"one{1 - index}", f"two{1 - index}"] for name in ("one", "two") for index in (0, 1)}
    assert all(f"inet {address}/32" in found["named"] for address in addresses)
    # They never speak to each other but by the robot.
    assert found["ports"].split() == ["1", "1"]


def test_a_pod_has_an_address_of_ipv6_from_its_first_moment_and_is_known_by_it(found):
    addresses = [pod["address6"] for pod in found["pods"].values()]
    assert {name: each["POD_IP6"] for name, each in of(found, "environment").items()} == {
        f"{name}{index}": addresses[index] for name in ("one", "two") for index in (0, 1)
    }
    assert found["from the robot"][2:] == ["one0", "one1"]
    assert of(found, "other6") == {f"{name}{index}": [f"one{1 - index}", f"two{1 - index}"] for name in ("one", "two") for index in (0, 1)}
    assert of(found, "own6") == {f"{name}{index}": [f"one{index}", f"two{index}"] for name in ("one", "two") for index in (0, 1)}
    assert of(found, "named6") == {
        f"{name}{index}": sorted([addresses[index], "fd4b:9a12:7c30::1"]) for name in ("one", "two") for index in (0, 1)
    }


def test_a_pod_has_a_host_name_and_an_ipc_of_its_own(found):
    names = [pod["name"] for pod in found["pods"].values()]
    assert of(found, "host") == {f"{name}{index}": names[index] for name in ("one", "two") for index in (0, 1)}
    assert {name: (each["POD_NAME"], each["HOSTNAME"]) for name, each in of(found, "environment").items()} == {
        f"{name}{index}": (names[index], names[index]) for name in ("one", "two") for index in (0, 1)
    }
    assert found["host"] not in names
    assert of(found, "queues") == {"one0": [0], "two0": [0], "one1": [1], "two1": [1]}
    assert of(found, "memory") == {f"{name}{index}": [f"one{index}", f"two{index}"] for name in ("one", "two") for index in (0, 1)}
    # Processes are each task's own, unless it says otherwise.
    assert len({spaces["pid"] for spaces in of(found, "namespaces").values()}) == 4


def test_a_pod_knows_names(found):
    gateway = "172.26.64.1"
    assert of(found, "robot") == dict.fromkeys(WHO, gateway)
    assert of(found, "printer") == dict.fromkeys(WHO, "192.0.2.90")
    assert of(found, "own") == {"one0": "two0", "two0": "two0", "one1": "two1", "two1": "two1"}
    assert of(found, "resolution") == dict.fromkeys(WHO, "nameserver 192.0.2.53\nsearch lan\n")


def test_an_unchanged_run_changes_nothing_and_a_removal_leaves_nothing(found):
    assert found["again"] == {"status": "unchanged"}
    assert found["left"][1] == found["left"][0]


SLEEPS = [shell("one", "exec sleep 10001"), shell("two", "exec sleep 10002")]


def spaces(machine: Machine, kind: str = "net") -> list[str]:
    """The namespaces of both tasks, of each pod together."""
    machine.until("[ $(pgrep -cf '^sleep 1000[12]$') = 4 ]")
    return sorted(machine.sh(f"for each in $(pgrep -f '^sleep 1000[12]$'); do readlink /proc/$each/ns/{kind}; done").split())


def test_all_of_a_pod_enters_anew_when_what_holds_it_dies(machine: Machine):
    plan = job(machine, *SLEEPS)
    assert machine.deploy(plan)["status"] == "committed"
    spaces(machine)
    first, second = list(files(plan))
    gone = machine.sh("pgrep -f '^sleep 1000[12]$'").split()
    machine.sh(f"kill -KILL $(systemctl show -p MainPID --value k8s4r-pod-{first}.service)")
    # Two of the four are the other pod's, and go on.
    machine.until(f"[ $(for each in {' '.join(gone)}; do kill -0 $each 2>/dev/null && echo; done | wc -l) = 2 ]")
    machine.until(f"systemctl is-active --quiet k8s4r-pod-{first}.service")
    # The kernel gives the number of a namespace that is gone to the next one.
    inside = "for each in $(pgrep -f '^sleep 1000[12]$'); do readlink /proc/$each/ns/net; done"
    for pod in (first, second):
        machine.until(f'[ "$({inside} | grep -cFx "$(ip netns exec k8s4r-{pod} readlink /proc/self/ns/net)")" = 2 ]')
    after = spaces(machine)
    assert len(set(after)) == 2
    machine.sh("systemctl daemon-reexec")
    assert spaces(machine) == after
    machine.until(f"systemctl is-active --quiet k8s4r-pod-{first}.service")
    assert machine.ask(plan) == {"status": "unchanged"}


def test_the_robot_keeps_an_address_and_names_another_where_it_is_taken(machine: Machine):
    plan = job(machine, *SLEEPS)
    assert machine.deploy(plan)["status"] == "committed"
    mine = {id: pod["address"] for id, pod in files(plan).items()}
    # Of another job, which was given an address that is taken.
    groups = [{"name": "h", "network": {"type": "none", "mode": "group"}, "tasks": [shell("app", "exec sleep 10003")]}]
    document = {"name": "other", "taskGroups": groups}
    number = int.from_bytes(bytes(map(int, next(iter(mine.values())).split("."))), "big")
    (wanted,) = plans(machine, document)
    (taken,) = plans(machine, document, {wanted["groups"][0]["id"]: {"r0": number}})
    answer = machine.prepare(taken)
    assert answer["status"] == "stale"
    named = answer["ports"][taken["groups"][0]["id"]]["r0"]
    assert named not in [int.from_bytes(bytes(map(int, each.split("."))), "big") for each in mine.values()]
    (other,) = plans(machine, document, answer["ports"])
    assert machine.deploy(other)["status"] == "committed"
    # A controller that has forgotten it learns it again.
    assert machine.prepare(taken)["ports"] == answer["ports"]


@pytest.mark.parametrize("network", ["172.26.80.0/24", "172.16.0.0/12"])
def test_a_network_that_the_robot_reaches_elsewhere_is_refused(machine: Machine, network: str):
    plan = job(machine, *SLEEPS)
    machine.sh(f"ip link add name other type bridge; ip link set other up; ip route add {network.replace('80.0', '64.0')} dev other")
    try:
        answer = machine.prepare(plan)
    finally:
        machine.sh("ip link delete other")
    (error,) = answer["errors"]
    assert error.startswith(
        f"k8s4r_pod_cidr: 172.26.64.0/20 overlaps {network.replace('80.0', '64.0')}, which this robot reaches through other; "
    )


def test_checks_and_scripts_look_inside_the_pod(machine: Machine):
    listens = "exec python3 -m http.server --bind 127.0.0.1 8080"
    every = {"interval": "1s", "timeout": "20s"}
    checks = [
        {"name": "tcp", "type": "tcp", **every},
        {"name": "http", "type": "http", "path": "/", **every},
        {
            "name": "script",
            "type": "script",
            "command": "/bin/sh",
            "args": ["-c", "test $(hostname) = $POD_NAME && test -e /sys/class/net/eth0"],
            **every,
        },
    ]
    task = shell("web", listens, services=[{"name": "web", "portLabel": "http", "checks": checks}])
    plan = job(machine, task, ports=[{"label": "http", "to": 8080}])
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    machine.absent("ss -ltn | grep ':8080 '")
    shown = machine.call(op="info")["taskgroups"][0]["tasks"]
    assert [[(check["name"], check["status"]) for check in unit["checks"]] for unit in shown] == [
        [("tcp", "passing"), ("http", "passing"), ("script", "passing")]
    ] * 2


def test_raw_exec_is_in_the_pod_too_and_names_change_without_a_restart(machine: Machine):
    raw = shell("raw", "cat /etc/hosts >$NOMAD_ALLOC_DIR/hosts$NOMAD_ALLOC_INDEX; exec sleep 10002", driver="raw_exec")
    plan = job(machine, shell("one", "exec sleep 10001"), raw)
    assert machine.deploy(plan)["status"] == "committed"
    before = spaces(machine)
    assert len(set(before)) == 2
    processes = machine.sh("pgrep -f '^sleep 1000[12]$'")
    named = job(machine, shell("one", "exec sleep 10001"), raw, extraHosts={"printer.example": "192.0.2.90"})
    assert machine.deploy(named)["status"] == "committed"
    assert machine.sh("pgrep -f '^sleep 1000[12]$'") == processes
    for each in processes.split():
        assert "192.0.2.90 printer.example" in machine.sh(f"nsenter --mount=/proc/{each}/ns/mnt cat /etc/hosts")


def test_each_pod_has_a_proxy_at_the_same_port(envoy: Machine, monkeypatch: pytest.MonkeyPatch):
    """It comes up before the tasks, and starts again with its pod."""
    # On a busy machine it takes longer than tasks wait.
    monkeypatch.setattr(proxy_unit, "AWAIT_READY_SECONDS", 60)
    serve = "while True: c = s.accept()[0]; c.sendall(c.getpeername()[0].encode()); c.close()"
    envoy.sh(
        f"systemd-run -q --unit=beyond python3 -c \"exec('''import socket; s = socket.create_server((\\'0.0.0.0\\', 18080))\\n{serve}''')\""
    )
    envoy.listens(18080)
    ask = "import socket; print(socket.create_connection(('127.0.0.1', 9000), 60).recv(99).decode())"
    script = f'python3 -c "{ask}" >$NOMAD_ALLOC_DIR/asked$NOMAD_ALLOC_INDEX; exec sleep 10001'
    upstreams = [{"name": "beyond", "localPort": 9000, "upstream": "172.26.64.1:18080", "tls": False}]
    plan = job(envoy, shell("asks", script), type="envoy", upstreams=upstreams)
    try:
        result = envoy.deploy(plan)
        assert result["status"] == "committed", result
        envoy.until(f"[ $(cat {DIRECTORY}/asked* | wc -l) = 2 ]")
        assert envoy.sh(f"cat {DIRECTORY}/asked*").split() == [pod["address"] for pod in files(plan).values()]
        assert envoy.ask(plan) == {"status": "unchanged"}
        envoy.absent("ss -ltn | grep ':9000 '")
        (group,) = envoy.call(op="info")["taskgroups"]
        assert [(pod["address"], pod["proxy"]["state"]) for pod in group["pods"]] == [
            (pod["address"], "active") for pod in files(plan).values()
        ]
        assert [task["address"] for task in group["tasks"]] == [pod["address"] for pod in files(plan).values()]
        first = next(iter(files(plan)))
        before = envoy.sh(f"systemctl show -p MainPID --value k8s4r-proxy-{first}.service").strip()
        envoy.sh(f"kill -KILL $(systemctl show -p MainPID --value k8s4r-pod-{first}.service)")
        envoy.until(f"! kill -0 {before} 2>/dev/null")
        envoy.until(f"systemctl is-active --quiet k8s4r-proxy-{first}.service")
        envoy.until(f"ip netns exec k8s4r-{first} ss -ltn | grep -q ':9000 '")
        envoy.sh(f'ip netns exec k8s4r-{first} python3 -c "{ask}"')
    finally:
        envoy.sh("systemctl stop beyond")


@pytest.fixture
def bookworm(distros: Fleet) -> Machine:
    machine = Machine(distros, "bookworm")
    machine.clean(engine=True)
    return machine


def test_instances_become_pods_come_back_after_a_boot_and_become_none_again(bookworm: Machine):
    pods = job(bookworm, *SLEEPS, pods6=SIX)
    host = job(bookworm, *SLEEPS, mode="host")
    six = "ip -6 rule | grep -c 146; ip -6 neighbour show dev k8s4r0 nud permanent | wc -l; cat /proc/sys/net/ipv6/conf/all/forwarding"
    assert bookworm.deploy(host)["status"] == "committed"
    assert len(set(spaces(bookworm))) == 1
    assert bookworm.deploy(pods)["status"] == "committed"
    assert len(set(spaces(bookworm))) == 2
    bookworm.fleet.reboot("bookworm")
    assert len(set(spaces(bookworm))) == 2
    bookworm.until("test $(cat /proc/sys/net/ipv6/conf/all/forwarding) = 1")
    assert bookworm.sh(six).split() == ["3", "2", "1"]
    assert bookworm.ask(pods) == {"status": "unchanged"}
    assert bookworm.deploy(host)["status"] == "committed"
    assert len(set(spaces(bookworm))) == 1
    assert bookworm.sh(f"{six} 2>/dev/null; true").split() == ["0", "0", "0"]
    assert bookworm.sh("ls /run/netns; ip -o link show type bridge; find /run/k8s4r/pods /etc/k8s4r/pods 2>/dev/null; true") == ""
    assert bookworm.ask(host) == {"status": "unchanged"}


def test_what_was_a_pod_is_asked_by_its_checks_where_it_is_now(bookworm: Machine):
    """The robot's port led into the pod. A check that still got there would fail, and the robot go back, at each try."""
    serves = {"execConfig": {"command": "python3", "args": ["-m", "http.server", "8412"]}}
    check = {"name": "c", "type": "http", "path": "/", "interval": "1s", "timeout": "5s"}
    task = {"name": "t", "config": serves, "services": [{"name": "s", "portLabel": "http", "checks": [check]}]}

    def serving(mode: str) -> dict[str, t.Any]:
        network = {"type": "none", "mode": mode, "ports": [{"label": "http", "static": 8412}]}
        groups = [{"name": "g", "network": network, "tasks": [task]}]
        (plan,) = plans(bookworm, {"name": "pods", "taskGroups": groups, "update": {"healthyDeadline": "30s"}})
        return plan

    for mode in ("group", "host", "group"):
        result = bookworm.deploy(serving(mode))
        assert result["status"] == "committed", result
        assert bookworm.ask(serving(mode)) == {"status": "unchanged"}


def test_a_pod_is_there_for_the_last_hook_and_not_after_it(bookworm: Machine):
    note = "echo $NOMAD_TASK_NAME $(hostname) $(cat /proc/1/comm) >>$NOMAD_ALLOC_DIR/notes"
    shared = {"isolation": {"pid": "group"}}
    hooks = [shell(hook, note, lifecycle={"hook": hook}, **shared) for hook in ("prestart", "poststop")]
    tasks = [*hooks, shell("main", f"{note}; sleep 1", **shared)]
    groups = [{"name": "g", "network": {"type": "none", "mode": "group"}, "tasks": tasks}]
    (plan,) = plans(bookworm, {"name": "pods", "type": "batch", "taskGroups": groups})
    assert bookworm.deploy(plan)["status"] == "committed"
    bookworm.until(f"grep -qs poststop {DIRECTORY}/notes")
    name = next(iter(files(plan).values()))["name"]
    assert bookworm.sh(f"cat {DIRECTORY}/notes").splitlines() == [f"{hook} {name} sleep" for hook in ("prestart", "main", "poststop")]
    bookworm.until("[ -z \"$(systemctl list-units --plain --no-legend 'k8s4r-pod-*')\" ]")
    assert bookworm.sh("ls /run/netns; ip -o link show type bridge") == ""
    assert bookworm.ask(plan) == {"status": "unchanged"}
