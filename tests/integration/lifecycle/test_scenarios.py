# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five scenarios of examples/scenarios, deployed together, and what the document that they come from says of each.

Provisioning apart, which these robots have from the tests of an ingress, they take two runs that change something, and one that does not.
"""

from __future__ import annotations

import pathlib
import socket
import typing as t

import pytest

from tests.integration.deploy.harness import ROBOTS, Deployment
from tests.integration.engine.harness import Machine
from tests.integration.lifecycle.visitors import Answer, curl
from tests.robots.host import wait_for

pytestmark = pytest.mark.robots

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples" / "scenarios"
FOLDERS = sorted(str(path) for path in EXAMPLES.iterdir() if path.is_dir())
# Others have more to do at the same time.
PATIENCE = 120


class Group(t.NamedTuple):
    """A group on a robot, as that tells of it."""

    robot: str
    told: dict[str, t.Any]

    @property
    def ports(self) -> dict[str, int]:
        """Of its first instance there, by their labels."""
        return {port["called"].partition(" ")[2]: port["port"] for port in self.told["ports"] if port["called"]}

    @property
    def pod(self) -> dict[str, t.Any]:
        (pod,) = self.told["pods"]
        return t.cast("dict[str, t.Any]", pod)


class Scenarios(Deployment):
    """All of them on two robots."""

    def groups(self, job: str, group: str) -> list[Group]:
        """Where a group runs."""
        told = [(robot, Machine(self.fleet, robot).call(op="info", sample=0)["taskgroups"]) for robot in ROBOTS]
        return [Group(robot, each) for robot, groups in told for each in groups if (each["job"], each["group"]) == (job, group)]

    def listening(self, group: Group, pod: str = "") -> set[tuple[str, str]]:
        """Addresses with ports, and who listens there: on the robot, or in its pod of the group with this id."""
        inside = f"ip netns exec k8s4r-{pod} " if pod else ""
        # Docker's own listens in a container, too, and is nobody that the robot knows.
        lines = [line for line in self.sh(group.robot, f"{inside}ss -ltnpH").splitlines() if '"' in line]
        return {(line.split()[3], line.split('"')[1]) for line in lines}

    def redis(self, group: Group, port: int) -> str:
        """What Redis says to somebody on another machine; nothing if he does not reach it."""
        try:
            with socket.create_connection((self.fleet.address(group.robot), port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.makefile().readline().strip()
        except OSError:
            return ""

    def visit(self, group: Group, port: int) -> tuple[str, int]:
        """Who says hello to whom, the how many-th visitor; waits until somebody does."""
        said = list[str]()

        def heard() -> bool:
            answer = curl(self.fleet.address(group.robot), f"http://app.example:{port}/", authority=self.directory)
            said.append(answer.text)
            return answer.status == 200

        wait_for(heard, PATIENCE, f"no hello: {said}")
        words = said[-1].replace(",", "").split()
        return words[2], int(words[-1])


@pytest.fixture(scope="module")
def scenarios(two, tmp_path_factory):
    directory = tmp_path_factory.mktemp("scenarios")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("K8S4R_HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(directory)
        scenarios = Scenarios(two, directory)
        scenarios.run("k8s4r.robot.deploy_taskgroup", job=FOLDERS).well()
        yield scenarios


@pytest.mark.parametrize("job", ["redis", "redis-static"])
def test_1_a_port_of_the_robot_leads_to_redis(scenarios, job):
    (redis,) = scenarios.groups(job, "redis")
    port = redis.ports["redis"]
    assert port == 6379 if job == "redis-static" else 20000 <= port <= 32000
    # On the robot, as the document has it, and from elsewhere.
    assert scenarios.sh(redis.robot, f"redis-cli -p {port} ping") == "PONG\n"
    assert scenarios.redis(redis, port) == "+PONG"
    assert ("0.0.0.0:6379", "redis-server") in scenarios.listening(redis, redis.pod["name"])


def test_2_a_task_finds_another_one_of_its_group(scenarios):
    (app,) = scenarios.groups("hello-together", "app")
    robot, first = scenarios.visit(app, 8082)
    assert robot == app.robot
    assert scenarios.visit(app, 8082) == (robot, first + 1)
    # Others reach the app, and whatever runs on the robot reaches Redis too, as the document warns.
    assert app.ports["app"] == 8082
    redis = app.ports["redis"]
    assert {("0.0.0.0:8082", "python3"), (f"127.0.0.1:{redis}", "redis-server")} <= scenarios.listening(app)
    assert scenarios.redis(app, redis) == ""
    assert scenarios.sh(app.robot, f"redis-cli -p {redis} get visits").strip() == str(first + 1)


def test_3_two_instances_find_one_redis_wherever_it_runs(scenarios):
    apps, (redis,) = scenarios.groups("hello-apart", "app"), scenarios.groups("hello-apart", "redis")
    assert [app.robot for app in apps] == list(ROBOTS)
    (one, first), (other, second) = (scenarios.visit(app, app.ports["app"]) for app in apps)
    assert (one, other, second) == (*ROBOTS, first + 1)
    # It listens on its robot's loopback alone, so from the other robot there is no way but that by both proxies.
    number = redis.ports["redis"]
    assert {(f"127.0.0.1:{number}", "redis-server"), ("*:16379", "envoy")} <= scenarios.listening(redis)
    assert all(("127.0.0.1:6380", "envoy") in scenarios.listening(app) for app in apps)


def test_4_one_group_alone_reaches_redis_and_netstat_shows_why(scenarios):
    (app,), (redis,) = scenarios.groups("hello-guarded", "app"), scenarios.groups("store", "redis")
    said, first = scenarios.visit(app, app.ports["app"])
    assert (said, scenarios.visit(app, app.ports["app"])) == (app.pod["name"], (said, first + 1))
    assert scenarios.listening(app, app.pod["name"]) == {("127.0.0.1:6379", "envoy"), ("0.0.0.0:8080", "python3")}
    assert scenarios.listening(redis, redis.pod["name"]) == {("127.0.0.1:6379", "redis-server"), ("0.0.0.0:16380", "envoy")}
    # Not even from its own robot is there a way to Redis itself, and at the proxy's port nobody is let in without an identity.
    for where in (f"-h {redis.pod['address']} -p 6379", "-p 16380"):
        assert "PONG" not in Machine(scenarios.fleet, redis.robot).execute(f"timeout 20 redis-cli {where} ping").stdout
    assert "PONG" not in scenarios.redis(redis, 16380)
    # The proxy knows who has called.
    proxy = f"journalctl --unit k8s4r-proxy-{redis.pod['name']}.service --output cat"
    Machine(scenarios.fleet, redis.robot).until(f"{proxy} | grep -q 'spiffe://fleet.example/ns/default/job/hello-guarded/group/app'")


def test_5_whichever_robot_is_asked_a_page_comes_from_where_it_is(scenarios):
    def ask(robot: str, url: str) -> Answer:
        return curl(scenarios.fleet.address(robot), url, authority=scenarios.directory)

    page, greeting = "http://panel.example:8090/", "http://panel.example:8090/api/greeting.json"
    for robot in ROBOTS:
        for url in (page, greeting):
            wait_for(lambda robot=robot, url=url: ask(robot, url).status == 200, PATIENCE, f"no answer of {url}")
        assert "The robot says" in ask(robot, page).text
        assert ask(robot, "http://api.example:8090/api/greeting.json").json == {"said": "hello"}
        assert ask(robot, "http://nobody.example:8090/").status == 404


def test_a_second_run_changes_nothing_and_a_removal_leaves_nothing(scenarios):
    assert set(scenarios.run("k8s4r.robot.deploy_taskgroup", job=FOLDERS).well().changed.values()) == {0}
    scenarios.remove(job=FOLDERS).well()
    for robot in ROBOTS:
        left = scenarios.footprint(robot)
        assert not [word for word in ("redis", "hello", "edge", "panel") if word in left]
        assert scenarios.sh(robot, "ls /run/netns; ip -o link show type bridge") == ""
