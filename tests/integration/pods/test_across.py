# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of two robots on one link: who reaches whom, who only says that he may, and what is left."""

from __future__ import annotations

import json
import shlex
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.network import across
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from tests.integration.compile.jobs import without_groups
from tests.integration.engine.harness import known
from tests.integration.pods import attacks
from tests.integration.pods.network import ANSWERS, ASKS, TCP, UDP, asked, listening
from tests.integration.pods.test_mended import LEFT, addresses

RANGES = {"robot1": "10.213.64.0/20", "robot2": "10.213.80.0/20"}
SIX = {"robot1": "fd4b:9a12:7c30::/64", "robot2": "fd4b:9a12:7c31::/64"}
LINK = {"robot1": "2001:db8:65::1", "robot2": "2001:db8:65::2"}
# A container has no IPv6 of its own, unless somebody lets an interface have it.
SETS = (
    "unshare --mount sh -ec 'mount -t proc proc /proc; cd /proc/sys/net/ipv6/conf/{}; echo 0 | tee accept_ra accept_dad;"
    " echo {} > disable_ipv6'"
)


class Spoken(t.NamedTuple):
    """A family of addresses. `option`: of ip. `key`: of a pod's file. `every`: all addresses. `bits`: of one. `near`: the robot's on a
    link of its own, in a network of this `length`. `opens`: what lets a robot take what comes over that link, whoever is said to have
    sent it.
    """

    option: str
    key: str
    every: str
    bits: int
    near: str
    length: int
    dad: str
    opens: str


OPENS6 = f"{SETS.format('forge0', 0)}; ip netns exec forger {SETS.format('eth0', 0)}"
FAMILIES = {
    "ipv4": Spoken("-4", "address", "0.0.0.0", 32, "198.51.100.1", 24, "", "echo 0 > /proc/sys/net/ipv4/conf/forge0/rp_filter"),
    "ipv6": Spoken("-6", "address6", "::", 128, "2001:db8:66::1", 64, "nodad", OPENS6),
}
# A machine on another link of the first robot, which has the address of a pod on the second one.
ELSEWHERE = """
ip netns add forger && ip link add name forge0 type veth peer name eth0 netns forger
{opens}
ip link set forge0 up && ip -n forger link set eth0 up
ip {option} address add {near}/{length} dev forge0 {dad}
ip {option} -n forger address add {forged}/{bits} dev eth0 {dad}
ip {option} -n forger route add {near} dev eth0 && ip {option} -n forger route add default via {near} src {forged}
"""


def job(host="0.0.0.0"):
    """Two groups that may talk, one on each robot, and one that may not."""

    def group(name, robot, *reach):
        task = {
            "name": "answers",
            "config": {"execConfig": {"command": "python3", "args": ["/run/answers.py", host, str(TCP), str(UDP)]}},
        }
        network = {"type": "none", "mode": "group", "reach": [{"group": each} for each in reach]}
        here = [{"lTarget": "${node.unique.name}", "operand": "=", "rTarget": robot}]
        return {"name": name, "network": network, "constraints": here, "tasks": [task]}

    return {"name": "across", "taskGroups": [group("web", "robot1", "api"), group("api", "robot2", "web"), group("lamp", "robot2")]}


def plans(robots, spoken=FAMILIES["ipv4"], **addresses):
    """What each robot gets, where they speak IPv4, or both families. `addresses`: of robots that are not at their own."""

    def described(robot):
        reached_at = (addresses.get(robot.name, robot.fleet.address(robot.name)),)
        found = known(robot.name)._replace(pods=RANGES[robot.name], addresses=reached_at)
        if spoken is FAMILIES["ipv4"]:
            return found
        return found._replace(pods6=SIX[robot.name], addresses=(*reached_at, LINK[robot.name]))

    fleet = Fleet(tuple(map(described, robots)))
    jobs, _warnings = reader.load([reader.Source("across.yml", json.dumps(job(spoken.every)))])
    placement = place(jobs, fleet)
    beyond = across.known(jobs, fleet, placement, lambda _robot: {})
    services = peers.known_services(jobs, fleet, placement)
    return [compile_robot(jobs, fleet, placement, each.name, services, beyond=beyond).plan["jobs"][0] for each in robots]


@pytest.fixture
def clean(robots):
    for machine in robots:
        machine.clean(engine=True)
        machine.sh("nft flush ruleset")
        machine.execute("cat > /run/answers.py", ANSWERS.encode())
        machine.execute("cat > /run/asks.py", ASKS.encode())
    yield robots
    robots[0].sh("systemctl stop answers-looks 2>/dev/null; ip netns delete forger 2>/dev/null; ip link delete forge0 2>/dev/null; true")


def ask(machine, pod, *those):
    """What each of these answers a pod: the address that it sees."""
    return asked(machine, [(address, *how) for address in those for how in ((TCP, "tcp"), (UDP, "udp"))], f"ip netns exec {pod} ")


def say(machine, pod, address, what):
    family = "AF_INET6" if ":" in address else "AF_INET"
    send = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM).sendto({what!r}, ({address!r}, {UDP}))"
    machine.sh(f"ip netns exec {pod} python3 -c {shlex.quote(send)}")


def seen(machine, what):
    """Wait until the pod's link has seen it."""
    machine.until(f"grep -q {what.hex()} /run/seen")


def test_robots_that_share_no_link_are_told_so_before_anything_changes(clean):
    refused = clean[0].deploy(plans(clean, robot2="203.0.113.9")[0])
    (error,) = refused["errors"]
    assert error.startswith("across.yml: taskGroups[0].network.reach[0]: this robot shares no link with robot2 (203.0.113.9); give both")
    clean[0].absent("ls /etc/k8s4r/pods 2>/dev/null | grep .")


@pytest.fixture(params=list(FAMILIES))
def spoken(request, clean):
    """A family that both robots speak."""
    if request.param == "ipv6":
        for machine in clean:
            machine.sh(f"{SETS.format('eth0', 0)}; ip address add {LINK[machine.name]}/64 dev eth0")
    yield FAMILIES[request.param]
    for machine in clean:
        machine.sh(SETS.format("eth0", 1))


def test_pods_of_two_robots_reach_each_other_as_themselves_if_they_may(clean, spoken):
    """In turn: deploy both, ask, say that one is another, remove everybody's rules and routes, and remove the job."""
    first, second = clean
    left = [machine.sh(LEFT) for machine in clean]
    wanted = plans(clean, spoken)
    for machine, plan in zip(clean, wanted, strict=True):
        result = machine.deploy(plan)
        assert (result["status"], result.get("notices")) == ("committed", []), result
    (web_id, web), found = addresses(wanted[0], spoken.key)["web"], addresses(wanted[1], spoken.key)
    (api_id, api), (lamp_id, _address) = found["api"], found["lamp"]
    web_pod, api_pod, lamp_pod = (f"k8s4r-{id}" for id in (web_id, api_id, lamp_id))
    first.until(listening(web_id, TCP, UDP))
    second.until(listening(api_id, TCP, UDP))

    assert ask(second, api_pod, web) == [api] * 2
    assert ask(first, web_pod, api) == [web] * 2
    assert ask(second, lamp_pod, web) == [""] * 2
    assert asked(second, [(web, TCP, "tcp"), (web, UDP, "udp")]) == [""] * 2, "a robot reaches its own pods alone"

    # Its timer would mend what is about to be broken, before anybody has looked.
    first.sh("systemctl stop k8s4r-walls.timer k8s4r-walls.service")
    first.sh(ELSEWHERE.format(forged=api, **spoken._asdict()))
    first.execute("cat > /run/looks.py", attacks.LOOKS.encode())
    out = "--property=StandardOutput=truncate:/run/seen"
    first.sh(f"systemd-run --quiet --collect --unit=answers-looks {out} ip netns exec {web_pod} python3 /run/looks.py pod")
    first.until("grep -q ready /run/seen")
    say(first, "forger", web, b"forged as another")
    say(second, api_pod, web, b"forged by nobody")
    seen(first, b"by nobody")
    first.absent(f"grep {b'as another'.hex()} /run/seen")
    first.sh("nft flush chain inet k8s4r entrance")
    say(first, "forger", web, b"forged without a wall")
    seen(first, b"without a wall")
    first.sh("systemctl stop answers-looks; ip netns delete forger; ip link delete forge0 2>/dev/null; systemctl start k8s4r-walls.service")

    shown = f"ip {spoken.option} rule; ip {spoken.option} route show table 1464; nft --stateless list table inet k8s4r"
    before = first.sh(shown)
    first.sh("nft flush ruleset")
    assert ask(second, api_pod, web) == [""] * 2
    first.sh(f"ip {spoken.option} route flush table 1464; ip {spoken.option} rule delete pref 1467; systemctl start k8s4r-walls.service")
    assert first.sh(shown) == before
    assert ask(second, api_pod, web) == [api] * 2
    again = first.script("from k8s4r_engine.pods import walls\nprint(walls.ensure())")
    assert (again.stdout, again.stderr) == ("[]\n", ""), "nothing is put right that is as it should be"

    for machine, plan in zip(clean, wanted, strict=True):
        assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert [machine.sh(LEFT) for machine in clean] == left
    routes = f"ip {spoken.option} route show table all | sed -n '/ table 1464/p'"
    assert [machine.sh(routes) for machine in clean] == ["", ""]
