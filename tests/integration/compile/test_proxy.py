# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group's proxy with a real Envoy: its tasks wait for it, and its log is bounded."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import time
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import proxy, proxy_unit
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.proxy_unit import AWAIT_IDENTITY_SECONDS, AWAIT_READY_SECONDS
from ansible_collections.k8s4r.robot.plugins.plugin_utils.envoy import clusters, endpoints, listeners
from ansible_collections.k8s4r.robot.plugins.plugin_utils.envoy.address import Address
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import DEFAULT_AGENT_SOCKET
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import AccessLog, Protocol
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.engine.harness import Machine, plans_for
from tests.robots.host import wait_for

machine = each_of(ENDS)

OPERATIONS = pathlib.Path(__file__).parents[3] / "docs" / "operations.md"

# The first thing that the task does is what its users would see fail: it calls.
JOB = """
name: {name}
taskGroups:
  - name: g
    network:
      mode: {mode}
      accessLog: {log}
      upstreams: [{{name: up, localPort: {port}, upstream: "{upstream}:19001", protocol: {protocol}, tls: {tls}}}]
    tasks:
      - name: app
        config:
          execConfig:
            command: /bin/bash
            args: [-c, '(: </dev/tcp/127.0.0.1/19000) 2>/dev/null && echo connected || echo refused; exec sleep infinity']
"""
DEFAULTS = {"tls": "false", "protocol": "tcp", "log": "connections", "upstream": "127.0.0.1", "port": "19000", "mode": "host"}


class Started(t.NamedTuple):
    """How a group came up: seconds that its proxy took, seconds from then until its task's start, and what both said."""

    proxy: float
    task_after: float
    proxy_said: str
    task_said: str


def job(machine: Machine, name: str, **changes: str) -> t.Any:
    """The plan of the job."""
    jobs, _warnings = reader.load([reader.Source("job.yml", JOB.format(name=name, **{**DEFAULTS, **changes}))])
    return plans_for(machine.name, jobs, trust_domain="fleet.example")[0]


def start(machine: Machine, name: str, **changes: str) -> Started:
    answer = machine.deploy(job(machine, name, **changes))
    assert answer["status"] == "committed", answer
    proxy, task = (f"'k8s4r-{kind}-{name}-*'" for kind in ("proxy", "task"))
    began, ready = (microseconds(machine, f"{event}TimestampMonotonic", proxy) for event in ("InactiveExit", "ActiveEnter"))
    after = microseconds(machine, "InactiveExitTimestampMonotonic", task) - ready
    log = f"/var/lib/k8s4r/tasks/{name}-*/logs/stdout.log"
    machine.until(f"[ -s {log} ]")
    return Started((ready - began) / 1e6, after / 1e6, said(machine, proxy), machine.sh(f"cat {log}"))


def said(machine: Machine, units: str) -> str:
    return machine.sh(f"journalctl --sync; journalctl --no-pager -o cat -u {units}")


def microseconds(machine: Machine, event: str, units: str) -> int:
    return int(machine.sh(f"systemctl show --property={event} --value {units}"))


def test_a_ready_proxy_lets_the_tasks_go(envoy, monkeypatch):
    # On a busy machine it takes longer than tasks wait.
    monkeypatch.setattr(proxy_unit, "AWAIT_READY_SECONDS", 60)
    started = start(envoy, "ready")
    assert started.task_after >= 0
    assert "the proxy is not ready" not in started.proxy_said
    assert "connected" in started.task_said
    # The page's command asks the same socket.
    command = re.search(r"^    (python3 -c '.+' /run/k8s4r/proxy/)<group>/admin.sock$", OPERATIONS.read_text(), re.M)[1]
    assert envoy.sh(f"{command}ready-g-*/admin.sock").startswith("HTTP/1.1 200 OK")


def test_a_proxy_that_gets_no_identity_holds_the_tasks_back_for_a_while(envoy):
    note = f"{plan.AGENT_NAMES}/{envoy.name}"
    envoy.sh(
        f"mkdir -p $(dirname {DEFAULT_AGENT_SOCKET} {note}) && touch {note} && rm -f {DEFAULT_AGENT_SOCKET}"
        f" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"{DEFAULT_AGENT_SOCKET}\")'"
    )
    try:
        started = start(envoy, "unready", tls="{spiffeId: spiffe://fleet.example/peer}")
    finally:
        envoy.sh(f"rm -r $(dirname {DEFAULT_AGENT_SOCKET} {note})")
    assert started.proxy >= AWAIT_IDENTITY_SECONDS + AWAIT_READY_SECONDS - 1
    assert started.task_after >= 0
    assert f"no identity after {AWAIT_IDENTITY_SECONDS} s, the proxy starts without one: " in started.proxy_said
    assert f"the proxy is not ready after {AWAIT_READY_SECONDS} s; tasks start without it" in started.proxy_said


# Its end of a connection is the proxy's port, which the task does not call; when it ends, the port is free at once.
HOLD = """
import socket, struct, time
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
held.bind(("127.0.0.1", 19002))
held.connect(("127.0.0.1", 22))
time.sleep(1e6)
"""


LISTEN = "import socket, time; held = socket.create_server(('127.0.0.1', 19002)); time.sleep(1e6)"


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_a_proxy_that_was_kept_out_of_its_port_is_mended_by_the_next_run(envoy):
    """Envoy tries once. Takes no processor: it waits until the proxy had time enough to listen. In a pod it is the same."""
    start(envoy, "pod", port="19002", mode="group", upstream="192.0.2.1")
    pod = job(envoy, "pod", port="19002", mode="group", upstream="192.0.2.1")
    assert envoy.ask(pod) == {"status": "unchanged"}
    inside = "ip netns exec $(ip netns list | grep -o '^k8s4r-pod-g-[^ ]*')"
    envoy.sh(f"systemctl stop 'k8s4r-proxy-pod-*'; systemd-run --quiet --unit taker {inside} python3 -c {shlex.quote(LISTEN)}")
    envoy.until(f"{inside} ss -ltn | grep -q :19002")
    envoy.sh("systemctl start $(cd /etc/systemd/system && echo k8s4r-proxy-pod-*)")
    start(envoy, "silent", port="19002")
    plan = job(envoy, "silent", port="19002")
    assert envoy.ask(plan) == {"status": "unchanged"}
    envoy.sh(f"systemctl stop 'k8s4r-proxy-silent-*'; systemd-run --quiet --unit holder python3 -c {shlex.quote(HOLD)}")
    envoy.sh("until ss -tnH 'sport = :19002' | grep -q .; do sleep 0.1; done; systemctl start k8s4r-group-silent-g-*.target")
    envoy.sh("systemctl start $(cd /etc/systemd/system && echo k8s4r-proxy-silent-*)")
    try:
        (error,) = envoy.prepare(plan)["errors"]
        assert "port 19002 on 127.0.0.1 is taken by python3 (process " in error
        end = ", unit holder.service), as its end of a connection to 127.0.0.1:22; choose another port, or stop that program"
        assert error.endswith(end)
    finally:
        envoy.sh("systemctl stop holder")
    other = envoy.deploy(job(envoy, "pod", port="19002", mode="group", upstream="192.0.2.1", log="none"))
    envoy.sh("systemctl stop taker")
    assert other["status"] != "committed"
    taken = r"job\.yml.*upstreams\[0\]\.localPort: port 19002 on 127\.0\.0\.1 in the pod is taken by python3 \(.*, unit taker\.service\)"
    assert [text for text in other["errors"] if re.search(taken, text)], other
    wait_for(lambda: envoy.ask(plan) == {"status": "plan-needed"}, 60, "the silent listener is not seen")
    (step,) = envoy.prepare(plan)["steps"]
    assert re.fullmatch(r"restart k8s4r-proxy-silent-g-\w+\.service \(nobody listens on port 19002 of 127\.0\.0\.1\)", step)
    assert envoy.deploy(plan)["status"] == "committed"
    envoy.listens(19002)
    assert envoy.ask(plan) == {"status": "unchanged"}
    wait_for(lambda: envoy.ask(pod) == {"status": "plan-needed"}, 60, "the silent listener in the pod is not seen")
    (step,) = envoy.prepare(pod)["steps"]
    assert re.fullmatch(r"restart k8s4r-proxy-pod-g-\w+-r0\.service \(nobody listens on port 19002 of 127\.0\.0\.1 in its pod\)", step)
    assert envoy.deploy(pod)["status"] == "committed"
    envoy.until(f"{inside} ss -ltn | grep -q :19002")
    assert envoy.ask(pod) == {"status": "unchanged"}


SAYS = """
import socketserver
class Says(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"{0}")
socketserver.ThreadingTCPServer(("127.0.0.1", {0}), Says).serve_forever()
"""


def test_upstreams_exchange_their_ports(envoy):
    """Envoy takes listeners in one by one, and refuses one whose address another one has."""
    for number in (19031, 19032):
        envoy.sh(f"systemd-run --quiet --collect --unit says-{number} python3 -c {shlex.quote(SAYS.format(number))}")
        envoy.listens(number)

    def plan(**ports: int) -> t.Any:
        upstreams = [
            {"name": name, "localPort": port, "upstream": f"127.0.0.1:1903{name[-1]}", "tls": False} for name, port in ports.items()
        ]
        tasks = [{"name": "app", "config": {"execConfig": {"command": "sleep", "args": ["infinity"]}}}]
        group = {"name": "g", "network": {"upstreams": upstreams}, "tasks": tasks}
        jobs, _warnings = reader.load([reader.Source("job.yml", json.dumps({"name": "turns", "taskGroups": [group]}))])
        return plans_for(envoy.name, jobs, trust_domain="fleet.example")[0]

    def answers(port: int) -> str:
        ask = f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 10).recv(9).decode())"
        return envoy.sh(f"python3 -c {shlex.quote(ask)}").strip()

    proxy = "systemctl show -p InvocationID 'k8s4r-proxy-turns-*'"
    try:
        assert envoy.deploy(plan(up1=19021, up2=19022))["status"] == "committed"
        wait_for(lambda: (answers(19021), answers(19022)) == ("19031", "19032"), 60, "not through the proxy")
        started = envoy.sh(proxy)
        assert envoy.deploy(plan(up2=19021, up1=19022))["status"] == "committed"
        wait_for(lambda: (answers(19021), answers(19022)) == ("19032", "19031"), 20, "the ports have not been exchanged")
        # A new one takes the port that another one leaves.
        assert envoy.deploy(plan(new2=19022, up1=19023))["status"] == "committed"
        wait_for(lambda: (answers(19022), answers(19023)) == ("19032", "19031"), 20, "the port has not been taken over")
        assert envoy.ask(plan(new2=19022, up1=19023)) == {"status": "unchanged"}
        assert envoy.sh(proxy) == started
    finally:
        envoy.sh("systemctl stop 'says-*'")


# Answers and asks again and again on one connection, as busy programs do.
SERVE = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_arguments): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 19001), Answer).serve_forever()
"""
ASK = """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 19000)
for number in range({times}):
    connection.request("GET", f"/{{number}}")
    answer = connection.getresponse()
    assert answer.status == 204, answer.status
    answer.read()
"""
TIMES = 4000


@pytest.mark.parametrize(("log", "most"), [("connections", 0), ("requests", TIMES // 2)])
def test_requests_are_logged_where_the_job_wants_them_and_never_without_bound(envoy, log, most):
    name = f"busy{log}"
    start(envoy, name, protocol="http", log=log)
    envoy.sh(f"systemd-run --quiet --unit busy-{log} python3 -c {shlex.quote(SERVE)}")
    envoy.listens(19001)
    began = time.monotonic()
    envoy.sh(f"python3 -c {shlex.quote(ASK.format(times=TIMES))}; systemctl stop busy-{log}")
    # The bound is one of so many seconds.
    most *= 1 + int(time.monotonic() - began) // 30
    nobody = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:19000')"
    envoy.execute(f"python3 -c {shlex.quote(nobody)}")
    # Envoy hands its lines over every second, and what is left when it ends.
    envoy.sh(f"systemctl stop 'k8s4r-proxy-{name}-*'")
    lines = said(envoy, f"'k8s4r-proxy-{name}-*'").splitlines()
    logged = [line for line in lines if '"event":"request"' in line]
    assert bool(logged) == bool(most)
    assert len(logged) <= most
    assert most or any('"event":"failed"' in line for line in lines)


# As nginx asks whom it forwards to, if nobody has told it to do otherwise.
OLD = """
import socket
with socket.create_connection(("127.0.0.1", 19000)) as asked:
    asked.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(asked.makefile("rb").read().decode())
"""
# The host that a program is asked as.
HOST = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"asked as " + self.headers["Host"].encode())
http.server.HTTPServer(("127.0.0.1", 19001), Answer).serve_forever()
"""


def test_a_program_that_speaks_http_1_0_is_answered(envoy):
    start(envoy, "older", protocol="http")
    envoy.sh(f"systemd-run --quiet --unit older-host python3 -c {shlex.quote(HOST)}")
    envoy.listens(19001)
    said = envoy.sh(f"python3 -c {shlex.quote(OLD)}; systemctl stop older-host")
    assert said.startswith("HTTP/1.0 200 OK")
    assert "asked as 127.0.0.1:19001" in said


# Many connections at once, all of which stay open; and at the other end, whether the kernel asks if they are still there (proc(5): 02 is a
# timer of keepalive).
MANY = """
import socket, time
held = [socket.create_connection(("127.0.0.1", 19000)) for _ in range(1500)]
for each in held:
    each.sendall(b"up")
for each in held:
    assert each.recv(2) == b"up", "closed"
mine = [line.split() for line in open("/proc/net/tcp")]
asks = [line for line in mine if line[2].endswith(":4A39") and line[3] == "01" and line[5].startswith("02:")]
print(len(asks))
"""
ECHO = """
import asyncio
async def echo(reader, writer):
    writer.write(await reader.read(2))
    await reader.read()
async def serve():
    async with await asyncio.start_server(echo, "127.0.0.1", 19001, backlog=4096) as server:
        await server.serve_forever()
asyncio.run(serve())
"""


def test_many_connections_stand_and_each_is_asked_whether_the_other_side_is_there(envoy):
    start(envoy, "many")
    envoy.sh(f"systemd-run --quiet --unit many-echo -p LimitNOFILE=65536 python3 -c {shlex.quote(ECHO)}")
    envoy.listens(19001)
    assert int(envoy.sh(f"ulimit -n 4096; python3 -c {shlex.quote(MANY)}; systemctl stop many-echo")) >= 1500


# One endpoint answers; the other one takes no connection, and refuses none, as a robot that has vanished.
ENDPOINTS = """
import collections, http.client, http.server, json, socket, threading
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 19001), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
full = socket.create_server(("127.0.0.1", 19003), backlog=0)
held = [socket.socket() for _ in range(4)]
for each in held:
    each.setblocking(False)
    each.connect_ex(("127.0.0.1", 19003))
found = collections.Counter()
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", 19000, timeout=60)
    connection.request("GET", "/")
    found[connection.getresponse().status] += 1
threads = [threading.Thread(target=ask) for _ in range(40)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(json.dumps(found))
"""


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_all_requests_that_wait_for_an_endpoint_that_is_off_go_on_to_another(envoy):
    places = [[Address.parse(f"127.0.0.1:{port}")] for port in (19001, 19003)]
    cluster = clusters.leading_to(endpoints.inline("s", places), "up", Protocol.HTTP)
    listener = listeners.upstream_listener("up", 19000, Protocol.HTTP, "up", "s", AccessLog.NONE, endpoints.TRIES)
    text = proxy.dump({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    envoy.execute("cat >/root/waits.json", text.encode())
    envoy.sh(f"systemd-run --quiet --unit waits {proxy.ENVOY} -c /root/waits.json --concurrency 1 --disable-hot-restart -l error")
    envoy.listens(19000)
    found = envoy.sh(f"python3 -c {shlex.quote(ENDPOINTS)}; systemctl stop waits; rm /root/waits.json")
    assert json.loads(found) == {"204": 40}


# A name server that gives every name one address, and the host at that address, which says who it is.
NETWORK = """
import http.server, socket, sys, threading
server, host = sys.argv[1:]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(host.encode())
threading.Thread(target=http.server.HTTPServer((host, 19001), Answer).serve_forever, daemon=True).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    asked.bind((server, 53))
    while True:
        query, whence = asked.recvfrom(512)
        end = query.index(0, 12) + 5
        address = query[end - 4 : end - 2] == bytes([0, 1])
        head = query[:2] + bytes([0x81, 0x80, 0, 1, 0, int(address), 0, 0, 0, 0])
        record = bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]) + socket.inet_aton(host)
        asked.sendto(head + query[12:end] + record * address, whence)
"""


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_a_robot_that_moves_to_another_network_reaches_its_upstreams_within_a_minute(envoy):
    """The name server of the network that it left is silent, which is no refusal. Takes no processor: it waits."""
    resolv = envoy.sh("cat /etc/resolv.conf")
    for number, network in enumerate(("here", "there")):
        arguments = f"127.0.1.{number + 1} 127.0.2.{number + 1}"
        envoy.sh(f"systemd-run --quiet --unit {network} python3 -c {shlex.quote(NETWORK)} {arguments}")
    try:
        envoy.sh("echo nameserver 127.0.1.1 >/etc/resolv.conf")
        start(envoy, "moves", protocol="http", upstream="api.moves.example")
        answers(envoy, "127.0.2.1")
        envoy.sh("systemctl kill --signal=STOP here; echo nameserver 127.0.1.2 >/etc/resolv.conf")
        answers(envoy, "127.0.2.2")
    finally:
        envoy.sh(f"systemctl kill --signal=KILL here; systemctl stop here there; printf %s {shlex.quote(resolv)} >/etc/resolv.conf")


def answers(machine: Machine, host: str) -> None:
    """Wait until the upstream is this host; for a minute, and for the look that may be under way then."""
    asked = "python3 -c 'import urllib.request; print(urllib.request.urlopen(\"http://127.0.0.1:19000\", timeout=5).read().decode())'"
    machine.sh(f"timeout 65 sh -c {shlex.quote(f'until {asked} 2>/dev/null | grep -qx {host}; do sleep 0.5; done')}")
