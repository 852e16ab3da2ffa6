# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests rely on when they use container robots: that cuts cut, that limits limit, that nothing stays behind."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.integration.engine.harness import Machine
from tests.robots import Fleet, RobotsError, RobotSpec, borrowed
from tests.robots.host import CHECKOUT, processes, run, wait_for
from tests.robots.image import UNFINISHED, docker_image, exists

pytestmark = pytest.mark.robots


@pytest.fixture(scope="module")
def fleet():
    with borrowed("harness", [RobotSpec("robot1"), RobotSpec("robot2", labels={"role": "work"})]) as fleet:
        yield fleet


BUILDS = """
from tests.robots import RobotSpec, image
image.name = lambda spec: "killed"
image.mmdebstrap = lambda spec: ["sh", "-c", "until pgrep -f '[d]ocker import - .*:killed' >/dev/null; do sleep 0.05; done; kill -9 $PPID"]
image.docker_image(RobotSpec("robot1"))
"""


def test_an_image_whose_making_was_killed_is_none(fleet):
    del fleet  # Docker is there.
    try:
        assert subprocess.run([sys.executable, "-c", BUILDS], cwd=CHECKOUT, check=False, capture_output=True).returncode == -signal.SIGKILL
        # Docker goes on alone, and an older one takes what there was for the whole.
        wait_for(lambda: not run("pgrep", "-f", "[d]ocker import - .*:killed", check=False), 60, "Docker goes on")
        assert not exists("k8s4r-robot:killed")
    finally:
        run("docker", "image", "rm", f"{UNFINISHED}:killed", "k8s4r-robot:killed", check=False)


def test_a_robot_is_a_machine(fleet):
    assert fleet.ssh("robot1", "hostname; systemctl is-system-running").split() == ["robot1", "running"]
    assert fleet.ssh("robot1", "cat /etc/machine-id") != fleet.ssh("robot2", "cat /etc/machine-id")


def test_a_memory_limit_kills(fleet):
    program = "systemd-run --quiet --wait --collect -p MemoryMax=20M python3 -c 'bytearray(100_000_000)' && echo survived"
    assert "survived" not in fleet.ssh("robot1", program, check=False)


def test_robots_know_each_other_and_the_upstreams(fleet):
    first = fleet.address("robot1")
    assert fleet.ssh("robot2", "getent hosts robot1").split()[0] == first
    assert fleet.ssh("robot2", "getent hosts db.dc.example").split()[0] == first


def test_inventory_is_what_ansible_reads(fleet):
    listed = json.loads(run("ansible-inventory", "-i", fleet.inventory, "--list"))
    assert listed["robots"]["hosts"] == ["robot1", "robot2"]
    assert listed["spire_server"]["hosts"] == ["robot1"]
    assert listed["_meta"]["hostvars"]["robot2"]["k8s4r_labels"] == {"role": "work"}


def test_what_ansible_sends_is_compiled_once_and_anew_where_that_was_lost(fleet):
    ping = ("ansible", "--inventory", str(fleet.inventory), "robot1", "--module-name", "ping")
    kept = "cd /var/cache/k8s4r-robots && stat --format '%n %Y %i' *"
    run(*ping)
    before = fleet.ssh("robot1", kept)
    assert len(before.splitlines()) > 20
    run(*ping)
    assert fleet.ssh("robot1", kept) == before
    fleet.ssh("robot1", "truncate --size 0 /var/cache/k8s4r-robots/*")
    run(*ping)
    assert fleet.ssh("robot1", "find /var/cache/k8s4r-robots -empty") == ""


@pytest.mark.parametrize("machine", ["x86_64", "aarch_64"])
def test_mirror_serves_what_its_checksum_file_lists(fleet, machine):
    variables = json.loads(fleet.inventory.read_text())["all"]["vars"]
    version = variables["envoy_version"]
    folder = f"{variables['envoy_mirror_url']}/envoyproxy/envoy/releases/download/v{version}"
    name = f"envoy-{version}-linux-{machine}"
    with urllib.request.urlopen(f"{folder}/{name}", timeout=60) as reply:
        digest = hashlib.file_digest(reply, "sha256").hexdigest()
    with urllib.request.urlopen(f"{folder}/checksums.txt.asc", timeout=10) as reply:
        assert f"{digest}  {name}" in reply.read().decode().splitlines()


def test_up_again_keeps_a_running_robot(fleet):
    before = fleet.console("robot1", "cut -d' ' -f22 /proc/1/stat")
    fleet.ssh("robot1", "systemd-run --quiet --wait false", check=False)
    fleet.up([RobotSpec("robot1"), RobotSpec("robot2", labels={"role": "work"})])
    assert fleet.console("robot1", "cut -d' ' -f22 /proc/1/stat") == before


def test_a_cut_network_is_silent_and_comes_back(fleet):
    fleet.cut_network("robot2")
    with pytest.raises(RobotsError):
        fleet.ssh("robot2", "true", timeout=3)
    assert fleet.console("robot2", "systemctl is-active ssh").strip() == "active"
    fleet.restore_network("robot2")
    fleet.wait_ssh("robot2")


def test_a_power_cut_ends_everything_at_once(fleet):
    fleet.ssh("robot2", "systemd-run --quiet -p ExecStop='touch /root/stopped-in-order' sleep infinity; touch /run/volatile")
    fleet.power_cut("robot2")
    fleet.start("robot2")
    fleet.wait_ssh("robot2")
    assert fleet.ssh("robot2", "ls /root/stopped-in-order /run/volatile 2>/dev/null", check=False) == ""


def test_a_cable_may_be_pulled_and_plugged_in_while_a_robot_is_off(fleet):
    fleet.power_cut("robot2")
    fleet.cut_network("robot2")
    fleet.cut_network("robot2")
    fleet.start("robot2")
    assert "eth0" not in fleet.console("robot2", "ls /sys/class/net")
    fleet.power_cut("robot2")
    fleet.restore_network("robot2")
    fleet.start("robot2")
    fleet.wait_ssh("robot2")


def test_a_robot_whose_process_1_ended_has_last_words_and_is_made_anew(fleet):
    machine = Machine(fleet, "robot2")
    address = fleet.address("robot2")
    # As an assertion of systemd's own that does not hold ends it.
    machine.execute("mkdir /var/lib/k8s4r; touch /var/lib/k8s4r/old; kill -ABRT 1")
    wait_for(lambda: not fleet.answers("robot2"), 60, "process 1 goes on")
    assert "Caught <ABRT>" in fleet.last_words("robot2")
    machine.clean()
    assert machine.sh("hostname; systemctl is-system-running; ls -A /var/lib/k8s4r 2>/dev/null; true").split() == ["robot2", "running"]
    assert fleet.address("robot2") == address


def test_down_leaves_nothing():
    with borrowed("leaves", [RobotSpec("robot1")]) as fleet:
        pass
    assert fleet.full_name not in run("docker", "ps", "--all") + run("docker", "network", "ls")
    assert not processes("--fleet", fleet.full_name)
    assert not fleet.directory.exists()
    assert not fleet.control.exists()


def test_an_unknown_robot_is_named_with_those_that_are():
    with pytest.raises(RobotsError, match="no robot robot7; it has: none"):
        Fleet("harness-never").address("robot7")


def test_a_container_of_another_architecture_is_refused():
    with pytest.raises(RobotsError, match=r"robot1: a container has this machine's processor.*KIND=vm"):
        docker_image(RobotSpec("robot1", arch="arm64"))
