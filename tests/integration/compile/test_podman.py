# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of Podman as tasks: what differs from those of Docker, which test_docker.py has."""

from __future__ import annotations

import base64
import json

import pytest

from tests.integration.compile import boxes, housed, inside
from tests.integration.compile.boxes import PODMAN, deployed, job, said, unit
from tests.integration.compile.jobs import without_groups
from tests.integration.deploy.harness import Deployment
from tests.integration.engine.harness import Machine
from tests.integration.provision.harness import Run
from tests.robots import RobotSpec, borrowed

# Inside of a container there is no overlay file system, and the kernel's parameters are read-only. Podman 5 would like to have nft.
PREPARE = """
mount -o remount,rw,bind /proc/sys
cat > /etc/containers/storage.conf <<'E'
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
E
printf '[network]\nfirewall_driver = "iptables"\n' > /etc/containers/containers.conf
printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' > /etc/containers/registries.conf.d/tests.conf
mkdir -p /root/image/bin
cp /bin/busybox /root/image/bin/
for name in sh sleep cat env id wget nc mkdir touch ls ulimit date grep sort false; do ln -sf busybox /root/image/bin/$name; done
"""
TASK = "/var/lib/k8s4r/tasks/box-g-r0-t-*"


# Podman 4.3 with runc and CNI, and 5.4 with Netavark. What is not about Podman's own ways is tried with one of them.
BOTH = pytest.mark.parametrize("machine", ["bookworm", "trixie"], indirect=True)


@pytest.fixture(scope="module")
def machines():
    names = ("bookworm", "trixie")
    with borrowed("podman", [RobotSpec(name, name, labels={"role": "engines"}) for name in names]) as robots:
        found = {name: Machine(robots, name) for name in names}
        for machine in found.values():
            machine.sh(PREPARE)
        yield found


@pytest.fixture
def machine(machines, request):
    """A robot with nothing of ours, and with these images."""
    machine = machines[getattr(request, "param", "trixie")]
    machine.clean(engine=True)
    machine.sh("podman rm --all --force --time=0; podman rmi --all --force")
    machine.sh("tar -C /root/image -c . | podman import - look:1; tar -C /root/image -c --exclude=bin/sh . | podman import - noshell:1")
    return machine


box, containers = PODMAN.box, PODMAN.containers


@BOTH
def test_a_container_runs_as_it_was_asked(machine):
    machine.sh("mkdir -p /srv/given; echo given > /srv/given/file; id walker >/dev/null 2>&1 || useradd --no-create-home walker")
    script = """
    id; env; cat /given/file; touch /given/x 2>/dev/null || echo closed; touch /local/mine /alloc/mine /secrets/mine; pwd; ulimit -n
    test -c /dev/serial/by-path/pci-0000:00:14.0-port0 && echo device
    echo there >&2; echo end; exec sleep 1000
    """
    machine.sh("mkdir -p /dev/serial/by-path; ln -sfn ../../full /dev/serial/by-path/pci-0000:00:14.0-port0")
    task = box(
        script,
        Volumes=[{"source": "/srv/given", "target": "/given", "readOnly": True}],
        WorkDir="/alloc",
        # These mean something to Podman itself, and must not.
        env={
            "PLAIN": "a $b 'c' \"d\" \\e\nf",
            "PATH": "/bin:/own",
            "CONTAINERS_CONF": "/no",
            "HTTP_PROXY": "http://nowhere:1",
            "LD_X": " =#'\"",
        },
        groups=["audio"],
        devices=["/dev/serial/by-path/pci-*"],
        resources={"memory": "32Mi", "cpu": "500m", "cpus": "0", "tasks": 10, "openFiles": 512},
    )
    plan = deployed(machine, task, secret={"KEY": "it's a $canary \"\\x\nof two lines"}, meta={"who": "me"})
    found = said(machine, "^end")
    for value in ("PLAIN=a $b 'c' \"d\" \\e\nf\n", "KEY=it's a $canary \"\\x\nof two lines\n", "LD_X= =#'\"\n"):
        assert value in found, (value, found)
    lines = ("PATH=/bin:/own", "CONTAINERS_CONF=/no", "HTTP_PROXY=http://nowhere:1", "NOMAD_TASK_DIR=/local", "NOMAD_META_WHO=me")
    for line in (*lines, "given", "closed", "/alloc", "512", "device"):
        assert line in found.splitlines(), (line, found)
    assert "29" in found.splitlines()[0].partition("groups=")[2].split(","), found
    assert said(machine, "there", "stderr") == "there\n"
    # What root runs on the robot for the container obeys none of them.
    environ = f"/proc/$(systemctl show -p MainPID --value {unit(machine)})/environ"
    machine.sh(f"grep -qa NOTIFY_SOCKET= {environ} || grep -qa PATH= {environ}")
    machine.absent(f"grep -a 'PLAIN=\\|LD_X=\\|CONTAINERS_CONF=\\|NOMAD_' {environ}")
    machine.sh(f"test -e {TASK}/local/mine && test -e /var/lib/k8s4r/groups/box-g-*/alloc/mine")
    assert machine.sh("ls /run/k8s4r/secrets/box-g-r0-t-*/").split() == ["mine"]
    for place in (
        "podman inspect $(podman ps -q)",
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        "journalctl --no-pager",
        "systemctl cat 'k8s4r-*'",
    ):
        assert 'canary "' not in machine.sh(place).replace("\\", ""), place
    assert machine.execute("setpriv --reuid=walker --clear-groups grep -rsl 'of two lines' /run /etc /var/lib/k8s4r").stdout == ""
    # Only the container is in its slice, with the task's limits: Podman itself would not fit.
    slice_ = "/sys/fs/cgroup/{}/k8s4r.slice/*/*-box_g_r0_t_*.slice"
    assert machine.sh(f"cat {slice_.format('memory')}/memory.limit_in_bytes").strip() == str(32 << 20)
    assert machine.sh(f"cat {slice_.format('pids')}/pids.max").strip() == "10"
    assert machine.sh(f"cat {slice_.format('systemd')}/*/cgroup.procs").split() == machine.sh("cat /run/k8s4r/containers/*/pid").split()
    (of_task,) = [
        each for each in machine.call(op="status")["jobs"][0]["groups"].values() for each in each["units"].values() if each["usage"]
    ]
    assert (of_task["usage"]["memory"]["limit"], of_task["usage"]["processes"]) == (32 << 20, 1)
    assert machine.ask(plan)["status"] == "unchanged"


# Who dies. Podman itself runs only while a container starts.
KILLED = {
    "conmon": "systemctl show -p MainPID --value {unit}",
    "program": "cat /run/k8s4r/containers/*/pid",
}


@BOTH
def test_whoever_is_killed_one_container_runs_again_and_after_a_stop_none(machine):
    deployed(machine, box("trap 'echo asked; exit 0' USR1; echo begun; while :; do sleep 1; done", killSignal="SIGUSR1"))
    name = unit(machine)
    for victims in KILLED.values():
        (before,) = containers(machine)
        machine.sh(f"kill -9 $({victims.format(unit=name)})")
        up = f"[ $(systemctl show -p SubState --value {name}) = running ] && podman ps -q | grep -q . && [ $(pgrep -xc sleep) = 1 ]"
        machine.until(f"{up} && ! podman ps -q --no-trunc | grep -q {before}")
        assert len(containers(machine)) == 1
        assert machine.sh("podman ps --all --quiet | wc -l").strip() == "1"
    machine.sh(f"systemctl stop {name}")
    assert "asked" in said(machine, "asked")
    PODMAN.nothing_runs(machine)


def test_a_hook_is_waited_for_and_a_batch_job_runs_once(machine):
    hook = {**box("sleep 1; echo ready > /alloc/ready"), "name": "first", "lifecycle": {"hook": "prestart"}}
    deployed(machine, hook, box("cat /alloc/ready; echo end; exit 7"), type="batch")
    assert said(machine, "end").splitlines() == ["ready", "end"]
    machine.until(f"[ $(systemctl show -p ExecMainStatus --value {unit(machine)}) = 7 ]")
    PODMAN.nothing_runs(machine)


REGISTRY = {
    "version": 0.1,
    "storage": {"filesystem": {"rootdirectory": "/root/registry"}},
    "http": {"addr": "127.0.0.1:5000"},
    "auth": {"htpasswd": {"realm": "tests", "path": "/root/htpasswd"}},
}
PUSH = """
tar -C /root/image -c --exclude=bin/{1} . | podman import - {0}
podman push -q --creds somebody:right-canary {0}; podman rmi {0}
"""


def test_an_image_is_pulled_with_a_password_that_stays_nowhere_and_goes_with_its_job(machine):
    image = "127.0.0.1:5000/private:1"
    machine.sh(f"cat >/root/registry.yml <<'E'\n{json.dumps(REGISTRY)}\nE\nhtpasswd -Bbc /root/htpasswd somebody right-canary")
    machine.sh(
        "systemctl reset-failed; systemctl stop registry 2>/dev/null; systemd-run --unit=registry docker-registry serve /root/registry.yml"
    )
    machine.listens(5000)
    machine.sh(PUSH.format(image, "nc"))
    wrong = machine.deploy(job(machine, box(image=image, Auth={"username": "somebody", "password": "wrong-canary"})))
    assert wrong["status"] == "refused"
    assert f"box.yml: taskGroups[0].tasks[0].config.dockerConfig.image: {image} cannot be obtained" in wrong["errors"][0]
    assert "canary" not in json.dumps(wrong)
    plan = deployed(machine, box(image=image, Auth={"username": "somebody", "password": "right-canary"}))
    machine.absent("grep -rsl right-canary /var/lib/k8s4r /etc/k8s4r /run/k8s4r/results /run/containers /etc/containers")
    # The tag moves; a task that restarts keeps what it has.
    (before,) = machine.sh("podman inspect --format '{{.Image}}' $(podman ps -q)").split()
    machine.sh(f"podman tag {before} kept:1; {PUSH.format(image, 'wget')} podman tag kept:1 {image}; podman rmi kept:1")
    machine.sh(f"systemctl restart {unit(machine)}")
    assert machine.sh("podman inspect --format '{{.Image}}' $(podman ps -q)").split() == [before]
    assert machine.ask(plan)["status"] == "unchanged"
    assert machine.deploy(plan, refresh=True)["status"] == "committed"
    assert machine.sh("podman inspect --format '{{.Image}}' $(podman ps -q)").split() != [before]
    machine.execute("systemctl stop registry")
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    PODMAN.nothing_runs(machine)
    left = machine.sh("podman images --format '{{.Repository}}:{{.Tag}}'").split()
    # The one that was replaced stays for a day.
    assert sorted(name for name in left if "private:1" in name or "k8s4r.local" in name)[1:] == [], left


def test_what_cannot_be_is_refused_and_nothing_is_touched(machine):
    machine.sh("podman tag look:1 filed:1; podman save --quiet --output /srv/filed.tar filed:1; podman rmi filed:1")
    deployed(machine, box(image="filed:1", Load="/srv/filed.tar"))
    before = containers(machine)
    noshell = box(image="noshell:1", Command="/bin/sleep", Args=["1000"])
    cases = [
        (
            job(machine, box(image="away:1", Pull="never")),
            "found away:1: this robot does not have it, and pull is never",
        ),
        (job(machine, box(image="127.0.0.1:9/away:1")), "127.0.0.1:9/away:1 cannot be obtained: "),
        (job(machine, noshell, secret={"KEY": "canary"}), "noshell:1: variables with secret values are set by the image's own shell"),
    ]
    for plan, text in cases:
        result = machine.deploy(plan)
        assert result["status"] == "refused", (text, result)
        assert result["errors"][0].startswith(f"box.yml: taskGroups[0].tasks[0].config.dockerConfig.image: {text}"), result
    machine.sh("mv /usr/bin/podman /usr/bin/podman.away")
    try:
        missing = machine.deploy(job(machine, box(env={"NEW": "1"})))
        # Debian 11's.
        machine.sh("printf '#!/bin/sh\necho podman version 3.0.1\n' >/usr/bin/podman; chmod 755 /usr/bin/podman")
        old = machine.deploy(job(machine, box(env={"NEW": "1"})))
    finally:
        machine.sh("mv /usr/bin/podman.away /usr/bin/podman")
    advice = ', which Debian has from 12 and Ubuntu from 24.04 on; use docker, or exclude the robot by a constraint: {lTarget: "${node.'
    for result, text in (
        (missing, f"image: this robot has no Podman; install 4.0 or newer{advice}"),
        (old, f"image: installed: Podman 3.0; 4.0 or newer is needed{advice}"),
    ):
        assert (result["status"], text in result["errors"][0]) == ("refused", True), result
    assert containers(machine) == before


@BOTH
def test_a_published_port_leads_into_the_container(machine):
    group = {"network": {"type": "none", "ports": [{"label": "web", "static": 8099, "to": 80}]}}
    task = box("while :; do echo hello | nc -l -p 80; done", NetworkMode="bridge", Ports=[{"label": "web"}])
    plan = deployed(machine, task, group=group)
    machine.until("timeout 2 bash -c 'cat < /dev/tcp/127.0.0.1/8099' | grep -q hello")
    assert machine.ask(plan)["status"] == "unchanged"


@BOTH
def test_a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine):
    inside.a_script_is_as_one_that_the_container_has_started_and_leaves_nothing(machine, PODMAN)


@pytest.mark.parametrize("machine", ["bookworm"], indirect=True)
def test_a_container_is_in_the_network_of_its_pod_with_all_that_the_pod_shares(machine):
    housed.a_container_and_a_program_of_a_pod_are_together(machine, PODMAN)


def test_a_container_that_goes_away_under_its_check_is_no_success(machine):
    inside.a_container_that_goes_away_under_its_check_is_no_success(machine, PODMAN)


def test_a_changed_template_reaches_the_program_in_its_container(machine):
    inside.a_changed_template_reaches_the_program_in_its_container(machine, PODMAN)


def test_init_tasks_are_containers(machine):
    inside.init_tasks_are_containers(machine, PODMAN)


def test_an_image_is_loaded_from_a_file_beside_the_job(machine, tmp_path, monkeypatch):
    """Three runs of Ansible, each some seconds of a processor: no other test sends a robot a file of the controller's own."""
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    deployment = Deployment(machine.fleet, tmp_path)
    (tmp_path / "images").mkdir()

    def saved(*left_out: str) -> None:
        excluded = " ".join(f"--exclude=bin/{name}" for name in left_out)
        machine.sh(f"tar -C /root/image -c {excluded} . | podman import - brought:1; podman save --quiet brought:1 | base64 >/srv/saved")
        machine.sh("podman rmi brought:1")
        (tmp_path / "images" / "brought.tar").write_bytes(base64.b64decode(machine.sh("cat /srv/saved; rm /srv/saved")))

    def run(**config: str) -> Run:
        task = box("test -e /bin/nc && echo has; echo end; exec sleep 1000", image="brought:1", Load="images/brought.tar", **config)
        only = {"lTarget": "${node.unique.name}", "rTarget": machine.name}
        groups = [{"name": "g", "tasks": [task], "constraints": [only]}]
        return deployment.deploy(json.dumps({"name": "box", "taskGroups": groups, "update": boxes.SOON}), "--limit", machine.name)

    run().refused("dockerConfig.load: images/brought.tar cannot be read: No such file or directory; its path is relative to the job file")
    saved()
    run().well()
    assert said(machine, "^end") == "has\nend\n"
    before = containers(machine)
    assert run().well().changed[machine.name] == 0
    # Who has it is sent nothing more; another file of the name is another image.
    saved("nc")
    run().well()
    assert containers(machine) != before
    assert said(machine, "^end").endswith("end\nend\n")
