# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small examples on real robots: they run, say what they should, and go without a trace."""

from __future__ import annotations

import pathlib
import shlex
import sys

import pytest

from tests.integration.provision.harness import Ansible
from tests.robots import Fleet, RobotSpec, borrowed
from tests.robots.host import run, wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
JOBS = [str(EXAMPLES / name) for name in ("hello.yml", "watch-disk.yml", "calibrate.yml", "cache.yml")]

pytestmark = pytest.mark.robots


@pytest.fixture(scope="module")
def fleet():
    with borrowed("examples", [RobotSpec(name, labels={"role": "work"}) for name in ("work1", "work2")]) as fleet:
        yield fleet


def written(fleet: Fleet, tasks: str) -> list[str]:
    """What these tasks have written on all robots, those that are there."""
    command = f"cat /var/lib/k8s4r/tasks/{tasks}/logs/stdout.log"
    return sorted(line for name in fleet.names() for line in fleet.ssh(name, command, check=False).splitlines())


def said(fleet: Fleet, name: str) -> list[str]:
    """What the two instances of a task have written; its job and its group are called as it is."""
    return written(fleet, f"{name}-{name}-r?-{name}-*")


def test_deploy_change_nothing_and_remove(fleet):
    ansible = Ansible(fleet)
    deploy = str(EXAMPLES / "deploy-taskgroup.yml")
    ansible.run(deploy, job=JOBS).well()
    wait_for(lambda: len(said(fleet, "calibrate")) == 2, 180, "not both instances have said that they are calibrated")
    assert said(fleet, "calibrate") == ["instance 0 calibrated", "instance 1 calibrated"]
    wait_for(lambda: "hello from hello.hello[0]" in said(fleet, "hello"), 180, "hello says nothing")
    wait_for(lambda: "1" in written(fleet, "cache-cache-r0-app-*"), 180, "the cache counts no visits")
    again = ansible.run(deploy, job=JOBS).well()
    assert set(again.changed.values()) == {0}
    assert len(said(fleet, "calibrate")) == 2, "a batch job that has succeeded ran again"
    ansible.run("k8s4r.robot.remove_taskgroup", job=JOBS).well()
    for name in fleet.names():
        assert fleet.ssh(name, "ls /etc/k8s4r/groups /var/lib/k8s4r/groups /var/lib/k8s4r/tasks").split() == [
            "/etc/k8s4r/groups:",
            "/var/lib/k8s4r/groups:",
            "/var/lib/k8s4r/tasks:",
        ]
        assert "k8s4r-" not in fleet.ssh(name, "getent passwd")


LOCK = EXAMPLES.parent / "tests" / "requirements-dds.txt"


def test_programs_meet_over_dds(fleet, tmp_path):
    """Three participants on one robot, two of them behind walls: each must be told apart from the others."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    of_robot = ["--python-version", "3.11", "--platform", "manylinux2014_x86_64", "--dest", str(tmp_path)]
    run(sys.executable, "-m", "pip", "download", *options, *of_robot, "--requirement", str(LOCK))
    (wheel,) = tmp_path.iterdir()
    run("docker", "cp", str(wheel), f"{fleet.machine('work2').full_name}:/opt/dds.whl")
    fleet.ssh("work2", "python3 -m zipfile -e /opt/dds.whl /opt/dds")
    ansible, job = Ansible(fleet), str(EXAMPLES / "dds.yml")
    ansible.run(str(EXAMPLES / "deploy-taskgroup.yml"), "--limit", "work2", job=job).well()
    heard = "awk '{print $1}' /var/lib/k8s4r/tasks/dds-recorder-r0-*/logs/stdout.log | sort -u"
    wait_for(lambda: fleet.ssh("work2", heard).split() == ["left", "right"], 180, "the recorder does not hear both")
    assert set(ansible.run(str(EXAMPLES / "deploy-taskgroup.yml"), "--limit", "work2", job=job).well().changed.values()) == {0}
    ansible.run("k8s4r.robot.remove_taskgroup", "--limit", "work2", job=job).well()


# On the robot, in place of a device with a driver: what is written to its other end comes out of it.
SERIAL = "socat pty,raw,echo=0,link=/dev/ttyGPS,group=dialout,mode=660 pty,raw,echo=0,link=/run/gps"
PACKAGES = "mosquitto mosquitto-clients python3-rosmaster python3-rostopic socat"
# Seconds for the download of some dozens of packages while other tests are at work.
INSTALL = 600


def install(packages: str) -> str:
    """The command that installs packages of Debian, quietly."""
    get = f"apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends {packages}"
    return f"{{ {get}; }} >/dev/null 2>&1"


def test_ros_mqtt_and_a_serial_device(fleet):
    fleet.ssh("work1", f"{install(PACKAGES)}; systemctl disable --now mosquitto", timeout=INSTALL)
    ansible = Ansible(fleet)
    jobs = [str(EXAMPLES / name) for name in ("ros.yml", "mqtt.yml", "gps.yml")]
    ansible.run(str(EXAMPLES / "deploy-taskgroup.yml"), "--limit", "work1", job=jobs).well()
    fleet.ssh("work1", f"systemd-run --quiet --unit=serial {SERIAL}")

    def log(task: str) -> str:
        return fleet.ssh("work1", f"cat /var/lib/k8s4r/tasks/{task}-*/logs/stdout.log", check=False)

    for listener in ("ros-graph-r0-listener", "ros-recorder-r0-listener"):
        wait_for(lambda listener=listener: 'data: "hello from work1"' in log(listener), 180, f"{listener} hears nothing")
    wait_for(lambda: "robot/battery" in log("mqtt-telemetry-r0-watch"), 180, "nothing comes through the broker")
    fleet.ssh("work1", "until [ -e /run/gps ]; do sleep 0.1; done; echo '$GPGGA,0' >/run/gps")
    wait_for(lambda: "$GPGGA,0" in log("gps-gps-r0-read"), 180, "the device is not read")
    assert set(ansible.run(str(EXAMPLES / "deploy-taskgroup.yml"), "--limit", "work1", job=jobs).well().changed.values()) == {0}
    ansible.run("k8s4r.robot.remove_taskgroup", "--limit", "work1", job=jobs).well()
    fleet.ssh("work1", "systemctl stop serial")


JAVA = """
public class Planner {
    public static void main(String[] args) throws Exception {
        long heap = Runtime.getRuntime().maxMemory() >> 20;
        long pid = ProcessHandle.current().pid();
        System.out.println(String.join(" ", args) + " " + System.getProperty("user.name") + " " + pid + " " + heap);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("asked to end")));
        while (true) Thread.sleep(1000);
    }
}
"""
# A compiler that runs on what the tasks run on.
COMPILE = """
mkdir -p /opt/planner && cd /opt/planner && printf %s "$source" >Planner.java && ecj -17 -proc:none -d classes Planner.java
printf 'Main-Class: Planner\\n' >manifest && python3 - <<'END'
import zipfile
with zipfile.ZipFile("planner.jar", "w") as jar:
    jar.write("manifest", "META-INF/MANIFEST.MF")
    jar.write("classes/Planner.class", "Planner.class")
END
"""


def test_java(fleet):
    ansible, deploy, job = Ansible(fleet), str(EXAMPLES / "deploy-taskgroup.yml"), str(EXAMPLES / "java.yml")
    ansible.run(deploy, "--limit", "work1", job=job).refused(
        "taskGroups[0].tasks[0].driver: java is in no directory of its PATH on this robot",
        "taskGroups[0].tasks[0].config.javaConfig.jarPath: this robot has no /opt/planner/planner.jar",
    )
    fleet.ssh("work1", install("openjdk-17-jre-headless ecj"), timeout=INSTALL)
    fleet.ssh("work1", "mkdir -p /opt/planner; echo >/opt/planner/planner.jar")
    ansible.run(deploy, "--limit", "work1", job=job).refused("/opt/planner/planner.jar is not a jar, or is damaged")
    fleet.ssh("work1", f"source={shlex.quote(JAVA)}; {COMPILE}")
    ansible.run(deploy, "--limit", "work1", job=job).well()

    def log(task: str) -> list[str]:
        return written(fleet, f"planner-planner-r0-{task}-*")

    user = fleet.ssh("work1", "getent passwd | grep -o '^k8s4r-[^:]*'").strip()
    for task, said, heap in (("plan", "--robot work1", 192), ("watch", "--watch", 32)):
        wait_for(lambda task=task: log(task), 180, f"{task} says nothing")
        (line,) = log(task)
        words = line.rsplit(" ", 3)
        assert words[:2] == [said, user]
        assert int(words[2]) < 10, "it is not in a namespace of its own"
        # Of its heap, a virtual machine does not count a part that is always empty.
        assert 0.9 * heap <= int(words[3]) <= heap
    assert set(ansible.run(deploy, "--limit", "work1", job=job).well().changed.values()) == {0}
    fleet.ssh("work1", "systemctl stop 'k8s4r-task-planner-planner-r0-plan-*'")
    wait_for(lambda: log("plan")[-1] == "asked to end", 60, "the program is not asked to end")
    ansible.run("k8s4r.robot.remove_taskgroup", "--limit", "work1", job=job).well()
    # Its manifest goes, or what it says.
    for content, said in (("manifest", "is not a jar, or is damaged"), ("META-INF", "does not say which of its classes to run")):
        fleet.ssh("work1", f"cd /opt/planner; mkdir -p META-INF; touch META-INF/MANIFEST.MF; python3 -m zipfile -c planner.jar {content}")
        ansible.run(deploy, "--limit", "work1", job=job).refused(f"/opt/planner/planner.jar {said}")
