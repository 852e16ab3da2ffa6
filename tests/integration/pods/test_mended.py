# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walls of pods that a job brings: what somebody removes comes back by itself, others' rules stay, and the last pod takes all along."""

from __future__ import annotations

import json

import pytest

from tests.integration.compile.jobs import plans, without_groups
from tests.integration.pods.network import ANSWERS, ASKS, TCP, UDP, asked, listening

PORT = 20345
SETTINGS = "/proc/sys/net/ipv4/conf/k8s4r0"
# Somebody else's, as Docker has it: what is forwarded is dropped, but for what a chain lets through.
OTHERS = "table ip others {\n chain c {\n type filter hook forward priority 5; policy accept;\n meta mark & 0x04000000 == 0 drop\n }\n}\n"
# What there could be of ours on a robot.
LEFT = (
    "nft list tables | grep k8s4r; ip rule; tc qdisc show | grep -v noqueue; ls /sys/class/net; find /etc/systemd -name '*walls*';"
    " ls -A /run/netns; ip -4 route; cat /proc/sys/net/ipv4/ip_forward; ls -A /run/k8s4r/pods 2>/dev/null; true"
)


def job(machine, *reach):
    answers = {"command": "python3", "args": ["/run/answers.py", "0.0.0.0", str(TCP), str(UDP)]}
    ports = [{"label": "web", "static": PORT, "to": TCP}, {"label": "dns", "static": PORT, "to": UDP, "protocol": "udp"}]

    def group(name, **network):
        task = {"name": "answers", "config": {"execConfig": answers}}
        return {"name": name, "network": {"type": "none", "mode": "group", **network}, "tasks": [task]}

    groups = [group("api"), group("web", ports=ports, reach=[{"group": name} for name in reach])]
    return plans(machine, {"name": "walls", "taskGroups": groups})[0]


def addresses(plan, key="address"):
    """Of each group's pod: its id and its address; of IPv6, the ``key`` is address6."""
    found = {}
    for group in plan["groups"]:
        for resource in group["resources"]:
            if resource.get("path", "").startswith("/etc/k8s4r/pods/"):
                found[group["name"].rpartition("/")[2]] = (resource["path"].rpartition("/")[2], json.loads(resource["content"])[key])
    return found


@pytest.fixture(scope="module")
def deployed(robots):
    """A robot on which somebody else's rules drop what they do not know."""
    machine = robots[0]
    machine.clean(engine=True)
    machine.execute("cat > /run/answers.py", ANSWERS.encode())
    machine.execute("cat > /run/asks.py", ASKS.encode())
    machine.execute("cat > /run/nft-others && nft -f /run/nft-others", OTHERS.encode())
    return machine


def reaches(machine, pod, address):
    return [bool(each) for each in asked(machine, [(address, TCP, "tcp"), (address, UDP, "udp")], f"ip netns exec k8s4r-{pod} ")]


def test_walls_of_a_job_stand_are_mended_and_go_with_it(deployed, robots, lan):
    """In turn: deploy, change who may come in, remove everybody's rules and wait, and remove the job."""
    machine = deployed
    # A container forwards from its beginning; most robots do not.
    machine.sh("unshare --mount sh -ec 'mount -t proc proc /proc; echo 0 > /proc/sys/net/ipv4/ip_forward'")
    left = machine.sh(LEFT)
    plan = job(machine)
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    (api, _own), (_id, web) = addresses(plan)["api"], addresses(plan)["web"]
    outside = robots[1].fleet.address(robots[1].name)
    published = [(lan, PORT, "tcp"), (lan, PORT, "udp")]
    for id, _address in addresses(plan).values():
        machine.until(listening(id, TCP, UDP))
    # Another table drops what has no mark of ours.
    assert asked(robots[1], published) == [outside] * 2
    assert reaches(machine, api, web) == [False, False]
    assert machine.state("k8s4r-walls.timer") == "active"
    # Somebody stops it, and the next run has something to do.
    machine.sh("systemctl stop k8s4r-walls.timer")
    assert machine.ask(plan) == {"status": "plan-needed"}
    (started,) = machine.deploy(plan)["changes"]
    assert started.startswith("start k8s4r-walls.timer ")
    assert machine.state("k8s4r-walls.timer") == "active"
    assert machine.ask(plan) == {"status": "unchanged"}
    pids = machine.sh("pgrep -f answers.py")

    # Where nothing can be noted, no other wall can be put up: so nobody is told that it was.
    full = "mount -t tmpfs -o size=64k tmpfs /run/k8s4r/walls && cp -a /run/kept/. /run/k8s4r/walls"
    machine.sh(f"cp -a /run/k8s4r/walls /run/kept && {full} && ! cat /dev/zero > /run/k8s4r/walls/full 2>/dev/null")
    result = machine.deploy(job(machine, "api"))
    assert result["status"] == "rolled-back", result
    assert [text for text in result["errors"] if "the walls between pods could not be put up" in text and "No space left" in text]
    assert reaches(machine, api, web) == [False, False]
    # What mends the walls may be at it.
    machine.until("umount /run/k8s4r/walls 2>/dev/null")
    machine.sh("rm -r /run/kept")

    result = machine.deploy(job(machine, "api"))
    assert result["status"] == "committed", result
    assert reaches(machine, api, web) == [True, True]
    assert machine.sh("pgrep -f answers.py") == pids, "who may come in is no matter of the tasks"

    before = machine.sh("ip rule; nft --stateless list table inet k8s4r")
    # Stopped until that has been seen.
    machine.sh("systemctl stop k8s4r-walls.timer k8s4r-walls.service; nft flush ruleset; ip rule delete pref 1466")
    # In a container, /proc/sys is read-only until it is mounted anew.
    settings = [f"{SETTINGS}/src_valid_mark", "/proc/sys/net/ipv4/ip_forward"]
    unset = "; ".join(f"echo 0 > {each}" for each in settings)
    machine.sh(f"unshare --mount sh -ec 'mount -t proc proc /proc; {unset}'")
    assert asked(robots[1], published) == [""] * 2
    machine.sh("systemctl start k8s4r-walls.timer")
    machine.until("nft list table inet k8s4r >/dev/null 2>&1 && test $(ip rule | grep -c '^146[456]:') = 3")
    machine.until("test $(systemctl show -p ActiveState --value k8s4r-walls.service) = inactive")
    assert machine.sh("ip rule; nft --stateless list table inet k8s4r") == before
    assert machine.sh(f"cat {' '.join(settings)}").split() == ["1", "1"]
    assert asked(robots[1], published) == [outside] * 2
    assert "put right: " in machine.sh("journalctl --sync; journalctl --unit k8s4r-walls.service --output cat")

    # Files that cannot be read are no sign that there are no pods.
    machine.sh("mkdir /run/kept && cp /etc/k8s4r/pods/* /run/kept && for each in /etc/k8s4r/pods/*; do echo > $each; done")
    machine.sh("systemctl start k8s4r-walls.service")
    assert machine.sh("ip rule; nft --stateless list table inet k8s4r") == before
    machine.sh("cp /run/kept/* /etc/k8s4r/pods/ && rm -r /run/kept")

    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert machine.sh(LEFT) == left
