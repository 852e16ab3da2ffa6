# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that its callers find wherever it runs, with real requests through the caller's proxy while it moves.

The first test takes 40 s of a processor: it installs SPIRE and Envoy, which the others share.
"""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import textwrap

import pytest

from tests.integration.deploy.harness import Deployment
from tests.integration.engine.harness import Machine
from tests.integration.provision.harness import Run
from tests.robots.host import wait_for
from tests.serving import SERVER

pytestmark = pytest.mark.robots

# 200 requests a second until the file is there; then who has answered how often, and what went wrong.
LOAD = """
import collections, http.client, json, os, threading, time

answers, failed = collections.Counter(), []

def work(number):
    connection, due = None, time.monotonic() + number / 200
    while not os.path.exists("/root/enough"):
        due += 8 / 200
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", 9000, timeout=10)
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read().decode()
            answers[body if answer.status == 200 else answer.status] += 1
            if answer.status != 200:
                failed.append(body)
        except OSError as error:
            connection = None
            failed.append(repr(error))

workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps([answers, failed]))
"""
JOB = """
name: shop
taskGroups:
  - name: api
    count: {count}
    constraints: [{{lTarget: "${{node.unique.name}}", operand: regexp, rTarget: "^({robots})$"}}]
    network:
      ports: [{{label: http, hostIP: 127.0.0.1}}]
      services: [{{name: http, port: 7000, to: http, protocol: http, allow: [{{group: {allowed}}}]}}]
    tasks:
      - name: app
        config:
          execConfig:
            command: /usr/bin/python3
            args:
              - -c
              - |
{program}
        env: {{NAME: "${{node.unique.name}} ${{NOMAD_ALLOC_INDEX}}"}}
  - name: front
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: robot1}}]
    network:
      upstreams: [{{name: api, localPort: 9000, service: {service}, protocol: http}}]
    tasks:
      - name: app
        config: {{execConfig: {{command: sleep, args: [infinity]}}}}
"""
FAILS = "raise SystemExit(3)"
# The address that the robot's own DNS server has for a name.
LOOPBACK = r"""
import socket, struct

labels = b"".join(bytes([len(label)]) + label.encode() for label in "{}".split(".")) + b"\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
    asks.settimeout(10)
    asks.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!2H", 1, 1), ("127.0.0.153", 53))
    print(socket.inet_ntoa(asks.recv(4096)[-4:]))
"""
# Fails while the service answers.
REFUSED = """
import http.client

connection = http.client.HTTPConnection("127.0.0.1", 9000, timeout=10)
connection.request("GET", "/")
assert connection.getresponse().status == 403
"""
REQUESTS = """
import urllib.request

print({urllib.request.urlopen("http://127.0.0.1:9000/", timeout=10).read().decode() for _request in range(40)})
"""


def job(robots: str, count: int, program: str = SERVER, service: str = "shop/api/http", allowed: str = "front") -> str:
    program = textwrap.indent(program.strip(), " " * 16)
    return JOB.format(robots=robots, count=count, program=program, service=service, allowed=allowed)


class Shop(Deployment):
    """The fleet, with requests to the service from the robot of its caller."""

    @property
    def caller(self) -> Machine:
        return Machine(self.fleet, "robot1")

    def start_load(self) -> None:
        self.caller.execute("systemctl stop load 2>/dev/null; rm -f /root/enough /root/came; cat > /root/load.py", LOAD.encode())
        self.caller.sh(
            "systemctl reset-failed load 2>/dev/null; systemd-run -q --unit load -p StandardOutput=file:/root/came python3 /root/load.py"
        )

    def end_load(self) -> tuple[dict[str, int], list[str]]:
        self.caller.sh("touch /root/enough")
        self.caller.until("! systemctl is-active -q load")
        answers, failed = json.loads(self.caller.sh("cat /root/came"))
        return answers, failed

    def is_answered_by(self, *names: str, inside: str = "", within: float = 30) -> None:
        """These, each a robot or an instance on it, and nobody else, answer forty requests, one after another. ``inside``: a command that
        runs others elsewhere. ``within``: seconds; on a busy machine a proxy comes up after its run, or is left out for 5 s because it
        took too long.
        """

        def answer() -> bool:
            said = self.caller.execute(f"{inside}python3 -", REQUESTS.encode())
            print(said)
            answered: set[str] = ast.literal_eval(said.stdout) if said.status == 0 else set()
            return set(names) in (answered, {name.split()[0] for name in answered})

        wait_for(answer, within, f"not answered by {names} alone")

    def started(self) -> str:
        """When the proxies, and the caller's task, were started."""
        units = "'k8s4r-proxy-shop-front-*' 'k8s4r-task-shop-front-*'"
        return self.caller.sh(f"systemctl show -p Id -p InvocationID {units}")


@pytest.fixture
def shop(deployment):
    return Shop(deployment.fleet, deployment.directory)


def test_a_service_is_found_wherever_it_moves_and_no_request_fails(shop):
    """One instance, one more, one less, and from one robot to the other and back."""
    shop.deploy(job("robot2", 1)).well()
    shop.is_answered_by("robot2 0")
    started = shop.started()
    shop.start_load()
    grown = shop.deploy(job("robot1|robot2", 2)).well()
    assert grown.output.index("TASK [Switch the robots]") < grown.output.index("TASK [Tell those that call a service where it is now]")
    shop.is_answered_by("robot1", "robot2")
    shop.deploy(job("robot1", 1)).well()
    shop.is_answered_by("robot1 0")
    shop.deploy(job("robot2", 1)).well()
    shop.is_answered_by("robot2 0")
    answers, failed = shop.end_load()
    assert failed == []
    assert {"robot1 0", "robot2 0"} <= answers.keys()
    assert shop.started() == started
    assert set(shop.deploy(job("robot2", 1)).well().changed.values()) == {0}


def test_callers_hear_of_another_port_while_the_spire_server_is_off(shop):
    """No identity changes, and neither the run nor its check asks who gives them out."""
    shop.deploy(job("robot2", 1)).well()
    shop.is_answered_by("robot2 0")
    shop.lose_spire_server()
    other = job("robot2", 1).replace("port: 7000", "port: 7001")
    for arguments in (("--check",), ()):
        run = shop.deploy(other, *arguments).well()
        assert "cannot be reached" not in run.output
    assert "TASK [Tell those that call a service where it is now]" in run.output
    shop.is_answered_by("robot2 0")


def test_callers_go_on_with_what_they_have_where_a_move_fails(shop):
    """And before that, an endpoint that cannot be reached is left out."""
    shop.deploy(job("robot1|robot2", 2)).well()
    Machine(shop.fleet, "robot2").sh("systemctl stop 'k8s4r-proxy-shop-api-*'")
    shop.is_answered_by("robot1", within=0)
    Machine(shop.fleet, "robot2").sh("systemctl start $(cd /etc/systemd/system; echo k8s4r-proxy-shop-api-*)")
    shop.deploy(job("robot1", 1)).well()
    run = shop.deploy(job("robot2", 1, FAILS))
    assert run.status == 2
    run.refused("default/shop/front keeps its endpoints of default/shop/api/http, because this run did not succeed on robot2")
    run.refused("robot1: default/shop/api is kept here")
    shop.is_answered_by("robot1 0")
    shop.deploy(job("robot2", 1)).well()
    shop.is_answered_by("robot2 0")


def test_a_port_goes_from_a_task_to_its_own_proxy(shop):
    """Envoy tries once to have it, while it goes on: the task must have let go by then."""
    open_to_all = job("robot2", 1).replace("{label: http, hostIP: 127.0.0.1}", "{label: http, static: 7100}")
    shop.deploy(open_to_all).well()
    behind = job("robot2", 1).replace("port: 7000", "port: 7100")
    assert "listening" not in shop.deploy(behind).well().output
    shop.is_answered_by("robot2 0")
    assert set(shop.deploy(behind).well().changed.values()) == {0}


def test_an_instance_that_moves_nowhere_goes_although_the_other_robot_is_not_reached(shop):
    shop.deploy(job("robot1|robot2", 3)).well()
    third = "systemctl list-units --plain --no-legend 'k8s4r-task-shop-api-r2-*'"
    (robot,) = [name for name in ("robot1", "robot2") if Machine(shop.fleet, name).sh(third)]
    run = shop.deploy(job("robot1|robot2", 2), "--limit", robot).well()
    assert "kept here" not in run.output
    assert not Machine(shop.fleet, robot).sh(third)
    shop.is_answered_by("robot1", "robot2")


def test_the_service_and_its_caller_are_deployed_by_runs_of_their_own(shop, controller_home):
    """Each run has one job, and what it must know of the other one, robots have told: the controller may have forgotten it.

    It takes 30 s of a processor: a dozen runs, of which each shows what the others cannot.
    """
    split = job("robot2", 1, allowed="front, job: front").partition("  - name: front")
    dns = {"k8s4r_dns": True, "k8s4r_dns_loopback": True}
    name = LOOPBACK.format("http.api.shop.svc.k8s4r.internal")
    front = f"name: front\ntaskGroups:\n{split[1]}{split[2]}"

    def serve(robots: str, count: int = 1, *arguments: str, port: int = 7000, allowed: str = "front") -> Run:
        text = job(robots, count, allowed=f"{allowed}, job: front").partition("  - name: front")[0]
        return shop.deploy(text.replace("port: 7000", f"port: {port}"), *arguments, **dns)

    def looked_at(run: Run) -> int:
        return run.well().output.count("TASK [Prepare the robots]")

    shop.deploy(front, **dns).refused('neither a job of this run nor a robot has the inbound service "default/shop/api/http"')
    serve("robot2").well()
    shop.deploy(front, **dns).well()
    shop.is_answered_by("robot2 0")
    units = "systemctl show -p Id -p InvocationID 'k8s4r-proxy-front-*' 'k8s4r-task-front-*'"
    files = "find /etc/k8s4r/groups/front-* /etc/systemd/system/k8s4r-*front* -type f ! -name 'endpoints-*' -exec ls -i --full-time {} +"
    assert shop.caller.execute("python3 -", name.encode()).stdout.strip() == shop.fleet.address("robot2")
    started, written = shop.caller.sh(units), shop.caller.sh(files)

    shop.start_load()
    moved = serve("robot1").well()
    assert moved.output.index("TASK [Switch the robots]") < moved.output.index("TASK [Tell those that call a service where it is now]")
    assert "robot1: front/front: is told (where shop/api/http is now)" in moved.output
    shop.is_answered_by("robot1 0")
    assert shop.caller.execute("python3 -", name.encode()).stdout.strip() == shop.fleet.address("robot1")
    serve("robot1|robot2", 2).well()
    shop.is_answered_by("robot1", "robot2")
    # Whoever is not reached keeps what it knows, is named, and is told later.
    aside = serve("robot2", 1, "--limit", "robot2").well()
    assert 'default/front/front on robot1 calls "default/shop/api/http", and keeps the endpoints that it has' in " ".join(
        aside.output.split()
    )
    shop.is_answered_by("robot1", "robot2")
    serve("robot2").well()
    shop.is_answered_by("robot2 0")
    # The robot that serves does not hear of another port, so its callers do not either.
    aside = serve("robot2", 1, "--limit", "robot1", port=7001).well()
    assert "keeps its endpoints of default/shop/api/http, because this run did not succeed on robot2" in " ".join(aside.output.split())
    shop.is_answered_by("robot2 0", within=0)
    answers, failed = shop.end_load()
    assert failed == []
    assert {"robot1 0", "robot2 0"} <= answers.keys()
    assert (shop.caller.sh(units), shop.caller.sh(files)) == (started, written)

    # Whoever knows already is asked once and told nothing; the caller's own run writes down that it is so.
    assert set((again := serve("robot2")).changed.values()) == {0}
    assert looked_at(again) == 1
    assert set(shop.deploy(front, **dns).well().changed.values()) == {0}
    shutil.rmtree(controller_home / "mesh")
    assert set((forgetful := shop.deploy(front, **dns)).changed.values()) == {0}
    assert looked_at(forgetful) == 2
    shop.is_answered_by("robot2 0")
    # Who is let in no longer is refused with the next request, although proxies keep their connections.
    serve("robot2", allowed="other").well()
    shop.caller.until(f"python3 -c {shlex.quote(REFUSED)}")
    # The log of the service says who it was.
    refused = (
        """journalctl --sync; journalctl -o cat -u 'k8s4r-proxy-shop-api-*' | grep '"event":"refused"' | grep -q job/front/group/front"""
    )
    Machine(shop.fleet, "robot2").until(refused)
    serve("robot2").well()
    shop.is_answered_by("robot2 0")
    # Neither its memory nor the robot itself tells what that serves: its endpoints stay as they are.
    serve("robot1|robot2", 2).well()
    shutil.rmtree(controller_home / "mesh")
    aside = shop.deploy(front, "--limit", "robot1", **dns)
    assert "keeps its endpoints of default/shop/api/http" in " ".join(aside.output.split())
    shop.is_answered_by("robot1", "robot2")
    assert "robot1: front/front: is told (shop/api/http runs nowhere now)" in serve("robot2", 0, "--check").output
    gone = shop.remove(job_name="shop", **dns).well()
    assert 'default/front/front on robot1 calls "default/shop/api/http", which this run takes away' in " ".join(gone.output.split())


def test_pods_call_and_serve_as_their_group_and_nobody_else_is_let_in(shop):
    pods = job("robot1|robot2", 2).replace("    network:\n", "    network:\n      mode: group\n")
    shop.deploy(pods).well()
    front = shop.caller.sh("ip netns list | grep -o '^k8s4r-shop-front-[^ ]*'").strip()
    shop.is_answered_by("robot1", "robot2", inside=f"ip netns exec {front} ")
    # The proxy of each pod has an identity; another pod, and the robot, have none that is let in.
    ask = f"python3 -c 'import urllib.request; urllib.request.urlopen(\"http://{shop.fleet.address('robot2')}:7000/\", timeout=10)'"
    for place in ("", f"ip netns exec {front} "):
        assert shop.caller.execute(place + ask).status == 1
    assert set(shop.deploy(pods).well().changed.values()) == {0}
    shop.deploy(job("robot1|robot2", 2)).well()
    shop.is_answered_by("robot1", "robot2")


@pytest.mark.parametrize(
    ("service", "allowed", "why"),
    [
        (
            "shop/api/htpp",
            "front",
            'neither a job of this run nor a robot has the inbound service "default/shop/api/htpp"; that job has default/shop/api/http',
        ),
        ("weather/mast/wind", "front", 'deploy the job "default/weather" first, or both together'),
        (
            "shop/api/http",
            "api",
            "lets in only the groups in its `allow`, and spiffe://fleet.example/ns/default/job/shop/group/front is not among them",
        ),
    ],
)
def test_a_service_that_nobody_has_or_that_lets_nobody_in_changes_nothing(shop, service, allowed, why):
    before = shop.footprint("robot1")
    shop.deploy(job("robot2", 1, service=service, allowed=allowed)).refused(why, "network.upstreams[0].service")
    assert shop.footprint("robot1") == before
