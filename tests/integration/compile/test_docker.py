# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers as tasks, with a real engine of Docker inside a robot: what they see, who ends them, and what is left of them."""

from __future__ import annotations

import json
import os
import time
import typing as t

import pytest

from tests.integration.compile.boxes import SOON, box, containers, deployed, job, nothing_runs, said, unit
from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.engine.harness import Machine
from tests.integration.engine.interrupted import drive

# An image of another machine, which Docker itself would not make here.
OTHER = """
rm -rf /root/other; mkdir /root/other; cd /root/other
docker save look:1 | tar -x
python3 - <<'E'
import json, pathlib
manifest = json.loads(pathlib.Path("manifest.json").read_text())
config = pathlib.Path(manifest[0]["Config"])
config.write_text(config.read_text().replace('"amd64"', '"s390x"'))
manifest[0]["RepoTags"] = ["other:1"]
pathlib.Path("manifest.json").write_text(json.dumps(manifest))
E
rm -f repositories; tar -c . | docker load
"""


@pytest.fixture
def machine(docker):
    return docker


def test_a_container_runs_as_it_was_asked(machine):
    machine.sh("mkdir -p /srv/given; echo given > /srv/given/file")
    script = """
    id; env; cat /given/file; touch /given/x 2>/dev/null || echo closed; touch /local/mine /alloc/mine /secrets/mine; pwd
    echo there >&2; echo end; exec sleep 1000
    """
    task = box(
        script,
        Volumes=[{"source": "/srv/given", "target": "/given", "readOnly": True}],
        WorkDir="/alloc",
        env={"PLAIN": "a $b 'c' \"d\" \\e\nf"},
        groups=["audio"],
    )
    deployed(machine, task, meta={"who": "me"})
    found = said(machine, "^end")
    assert "PLAIN=a $b 'c' \"d\" \\e\nf\n" in found
    for line in (
        "NOMAD_TASK_DIR=/local",
        "NOMAD_SECRETS_DIR=/secrets",
        "NOMAD_ALLOC_DIR=/alloc",
        "NOMAD_META_WHO=me",
        "given",
        "closed",
        "/alloc",
    ):
        assert line in found.splitlines(), line
    assert "groups=0(root),29" in found or "groups=0,29" in found, found
    assert said(machine, "there", "stderr") == "there\n"
    machine.sh("test -e /var/lib/k8s4r/tasks/box-g-r0-t-*/local/mine && test -e /var/lib/k8s4r/groups/box-g-*/alloc/mine")
    assert machine.sh("ls /run/k8s4r/secrets/box-g-r0-t-*/").split() == ["mine"]


# Who dies. What has looked after a container before the first two died is not there any more to make a second one.
KILLED = {
    "dockerd": "pgrep -x dockerd",
    "containerd": "pgrep -x containerd",
    "client": "systemctl show -p MainPID --value {unit}",
    "shim": "pgrep -f '[c]ontainerd-shim.*moby'",
    "program": "cat /run/k8s4r/containers/*/pid",
}


def test_whoever_is_killed_one_container_runs_again_and_after_a_stop_none(machine):
    deployed(machine, box(), group={"restartPolicy": {"attempts": 9, "delay": "1s", "interval": "1h", "mode": "fail"}})
    name = unit(machine)
    up = f"[ $(systemctl show -p SubState --value {name}) = running ] && docker ps -q | grep -q . && [ $(pgrep -xc sleep) = 1 ]"
    for who, command in KILLED.items():
        (before,) = containers(machine)
        machine.sh(f"kill -9 $({command.format(unit=name)})")
        # All of it is running again, and that is all there is.
        machine.until(up if who == "containerd" else f"{up} && ! docker ps -q --no-trunc | grep -q {before}")
        if who == "containerd":
            # The container that has gone on is none that Docker could end.
            ends(machine, name)
            machine.sh(f"systemctl start {name}")
            machine.until(up)
    # systemd and Docker may have done more of the kind: a second one would be there by now.
    machine.sh("sleep 3")
    assert len(containers(machine)) == 1
    assert machine.sh("pgrep -xc sleep").strip() == "1"
    ends(machine, name)


def ends(machine: Machine, name: str) -> None:
    machine.sh(f"systemctl stop {name}")
    not_killed(machine, name)
    nothing_runs(machine)


def not_killed(machine: Machine, *names: str) -> None:
    """The stop has ended what there was, and not systemd when it had waited long enough for that."""
    assert "timeout" not in machine.sh(f"systemctl show -p Result --value {' '.join(names)}")


def test_no_container_outlives_a_stop_without_docker(machine):
    (plan,) = plans(machine, {"name": "box", "taskGroups": [{"name": "g", "tasks": [box(), {**box(), "name": "u"}]}], "update": SOON})
    assert machine.deploy(plan)["status"] == "committed"
    names = unit(machine), unit(machine, "box-g-r0-u")
    machine.until("[ $(pgrep -xc sleep) = 2 ]")
    # Neither systemd nor its socket brings Docker back. Of one container, the program of its unit goes too.
    victims = f"$(pgrep -x dockerd) $(systemctl show -p MainPID --value {names[0]})"
    machine.sh(f"mv /usr/sbin/dockerd /usr/sbin/dockerd.away; kill -9 {victims}; systemctl stop {' '.join(names)}")
    try:
        # Its socket is still there, and gives no answer before the stop is over.
        not_killed(machine, *names)
        machine.absent("pgrep -x dockerd")
        machine.until("! pgrep -x sleep >/dev/null")
    finally:
        machine.sh(
            "mv /usr/sbin/dockerd.away /usr/sbin/dockerd; systemctl reset-failed docker.service docker.socket; systemctl start docker"
        )
    nothing_runs(machine)


def test_a_task_waits_for_docker_and_uses_up_no_restart(machine):
    deployed(machine, box(), group={"restartPolicy": {"attempts": 0, "mode": "fail", "interval": "1h"}})
    name = unit(machine)
    units = "docker.service docker.socket"
    machine.sh(f"systemctl stop {name} {units}; systemctl mask --runtime {units}; systemctl start --no-block {name}")
    machine.until(f"[ $(systemctl show -p ActiveState --value {name}) = activating ]")
    machine.sh(f"sleep 1; systemctl unmask --runtime {units}; systemctl start docker")
    machine.until("pgrep -x sleep >/dev/null")
    assert machine.sh(f"systemctl show -p NRestarts --value {name}").strip() == "0"


def test_a_container_is_asked_to_end_and_killed_if_it_does_not(machine):
    script = "trap 'echo asked; exit 0' USR1; trap '' TERM; echo begun; while :; do sleep 0.1; done"
    deployed(machine, box(script, killSignal="SIGUSR1"))
    said(machine, "begun")
    machine.sh(f"systemctl stop {unit(machine)}")
    assert "asked" in said(machine, "asked")
    deployed(machine, box(script, killSignal="SIGTERM", killTimeout="1s"))
    machine.until("pgrep -f '[t]rap .echo asked' >/dev/null")
    began = time.monotonic()
    machine.sh(f"systemctl stop {unit(machine)}")
    assert time.monotonic() - began >= 1
    not_killed(machine, unit(machine))
    nothing_runs(machine)


def test_secrets_are_seen_by_the_container_alone(machine):
    document = {
        "name": "box",
        "taskGroups": [{"name": "g", "tasks": [box("env; echo end; exec sleep 1000", env={"OPEN": "plain-canary"})]}],
    }
    (plan,) = plans(machine, document, secret={"KEY": "it's a $canary \"\\x\nof two lines"})
    assert machine.deploy(plan)["status"] == "committed"
    found = said(machine, "^end")
    assert "KEY=it's a $canary \"\\x\nof two lines\n" in found
    assert "OPEN=plain-canary" in machine.sh("docker inspect $(docker ps -q)")
    for place in (
        "docker inspect $(docker ps -q)",
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        "journalctl --no-pager",
        "systemctl cat 'k8s4r-*'",
    ):
        assert 'canary "' not in machine.sh(place).replace("\\", ""), place
    # Who is not root finds it in no file.
    machine.sh("id walker >/dev/null 2>&1 || useradd --no-create-home walker")
    assert machine.execute("setpriv --reuid=walker --clear-groups grep -rsl 'of two lines' /run /etc /var/lib/k8s4r").stdout == ""


def test_root_of_a_container_makes_no_device_for_other_tasks_of_its_group(machine):
    """An ``exec`` task that runs as root could open it."""
    deployed(machine, box("mknod /alloc/disk b 7 0; echo status $?; mknod /alloc/pipe p; echo status $?; echo end; exec sleep 1000"))
    found = said(machine, "^end")
    assert [line for line in found.splitlines() if line.startswith("status ")] == ["status 1", "status 0"]
    assert machine.sh("find /var/lib/k8s4r/groups -type b") == ""


def test_instances_share_an_image_and_one_that_somebody_else_has_stays(machine):
    plan = deployed(machine, box(), group={"count": 3})
    assert len(containers(machine)) == 3
    assert machine.sh("docker images -q k8s4r.local/*").count("\n") == 1
    assert machine.ask(plan)["status"] == "unchanged"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert "look" in machine.sh("docker images")
    assert "k8s4r.local" not in machine.sh("docker images -a")


def test_limits_hold_for_the_container(machine):
    limits = {"memory": "64Mi", "cpu": "500m", "cpus": "0", "tasks": 50, "openFiles": 512}
    deployed(machine, box("ulimit -n; echo end; exec sleep 1000", ShmSize="1Mi", resources=limits))
    assert said(machine, "^end").splitlines()[0] == "512"
    shown = json.loads(machine.sh("docker inspect $(docker ps -q)"))[0]["HostConfig"]
    assert (shown["Memory"], shown["NanoCpus"], shown["CpusetCpus"], shown["ShmSize"]) == (64 << 20, 5 * 10**8, "0", 1 << 20)
    slice_ = "/sys/fs/cgroup/{}/k8s4r.slice/*/*-box_g_r0_t_*.slice"
    assert machine.sh(f"cat {slice_.format('memory')}/memory.limit_in_bytes").strip() == str(64 << 20)
    assert machine.sh(f"cat {slice_.format('pids')}/pids.max").strip() == "50"
    (of_task,) = [
        unit for group in machine.call(op="status")["jobs"][0]["groups"].values() for unit in group["units"].values() if unit["usage"]
    ]
    assert (of_task["usage"]["memory"]["limit"], of_task["usage"]["threads_limit"], of_task["usage"]["processes"]) == (64 << 20, 50, 1)
    # Nothing else is there.
    assert machine.sh(f"cat {slice_.format('systemd')}/*/cgroup.procs").split() == [machine.sh("cat /run/k8s4r/containers/*/pid").strip()]


def test_a_container_that_wants_too_much_memory_is_told_of(machine):
    # The kernel's log is that of the host, and has the units of other robots and of former runs.
    name = f"hungry{os.urandom(4).hex()}"
    eat = box("while ! test -e /alloc/go; do sleep 0.1; done; exec busybox tail /dev/zero", resources={"memory": "24Mi"})
    groups = [{"name": "g", "tasks": [eat], "restartPolicy": {"attempts": 0, "mode": "fail", "interval": "1h"}}]
    (plan,) = plans(machine, {"name": name, "taskGroups": groups, "update": SOON})
    assert machine.deploy(plan)["status"] == "committed"
    machine.sh(f"cd /var/lib/k8s4r/groups/{name}-g-*/alloc && touch go")
    machine.until(f"[ $(systemctl show -p ActiveState --value {unit(machine, f'{name}-g-r0-t')}) = failed ]")
    (group,) = machine.call(op="info")["taskgroups"]
    (task,) = group["tasks"]
    assert (task["result"], task["well"]) == ("oom-kill", False), task
    # Before it has let go of its memory, the kernel may kill it once more.
    assert task["memory"]["oom_kills"] >= 1, task
    assert task["how"].startswith("the kernel killed its program because memory ran out")


def test_an_image_that_fails_gives_way_to_the_last_good_one(machine):
    once = {"group": {"restartPolicy": {"attempts": 0, "interval": "1h", "mode": "fail"}}}
    deployed(machine, box(), **once)
    machine.sh("tar -C /root/image -c . | docker import --message bad - look:2")
    result = machine.deploy(job(machine, box("exit 3", "look:2"), **once))
    assert result["status"] == "rolled-back", result
    machine.until("pgrep -x sleep >/dev/null")
    assert len(containers(machine)) == 1


def test_an_image_that_was_here_for_long_comes_back_although_no_container_used_it(machine):
    """Of the same name as the new one, which fails."""
    machine.sh("docker tag look:1 filed:1; docker save filed:1 > /srv/filed.tar; docker rmi filed:1")
    once = {"group": {"restartPolicy": {"attempts": 0, "interval": "1h", "mode": "fail"}}}
    plan = deployed(machine, box(image="filed:1", Load="/srv/filed.tar"), **once)
    machine.sh(f"systemctl stop {unit(machine)}; docker rmi look:1")
    fails = "tar -C /root/image -c --exclude=bin/sh . | docker import - filed:1; docker save filed:1 > /srv/filed.tar; docker rmi filed:1"
    machine.sh(f"{fails}; for f in $(find /var/lib/docker -name lastUpdated); do printf 2020-01-01T00:00:00Z > $f; done")
    result = machine.deploy(plan, refresh=True)
    assert result["status"] == "rolled-back", result
    machine.until("pgrep -x sleep >/dev/null")
    assert len(containers(machine)) == 1


def test_where_docker_is_down_on_the_way_back_all_else_of_the_group_comes_back(machine):
    """And the container's image with the next run, when Docker answers: until then nobody knows which one its name is of."""
    once = {"group": {"restartPolicy": {"attempts": 0, "interval": "1h", "mode": "fail"}}}
    deployed(machine, box(), {**shell("u", "exec sleep 777"), "driver": "raw_exec"}, **once)
    before = machine.sh("docker inspect -f '{{.Image}}' $(docker ps -q)")
    machine.sh("tar -C /root/image -c --exclude=bin/nc . | docker import - look:1")
    stops = {**shell("u", "systemctl stop docker.socket docker; exit 1"), "driver": "raw_exec", "user": "root"}
    result = machine.deploy(job(machine, box(), stops, **once))
    (text,) = [text for text in result["errors"] if "rolling back failed" in text]
    assert (result["status"], "image look:1: Docker is not running on this robot" in text) == ("failed", True), result
    machine.until("pgrep -f '^sleep 777' >/dev/null")
    machine.sh("systemctl start docker")
    assert machine.deploy(job(machine, shell("v", "exec sleep 1000"), name="other"))["status"] == "committed"
    assert machine.sh("docker inspect -f '{{.Image}}' $(docker ps -q)") == before
    machine.sh("pgrep -f '^sleep 777' >/dev/null; ! test -e /var/lib/k8s4r/pending")


# As systemd's socket for Docker is until Docker starts.
MUTE = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('/run/docker.sock'); s.listen(); time.sleep(1000)"


def test_a_boot_goes_back_before_docker_answers(machine):
    plan = deployed(machine, box(), {**shell("u", "exec sleep 777"), "driver": "raw_exec"})
    changed = machine.prepare(job(machine, box(env={"NEW": "1"}), {**shell("u", "exec sleep 778"), "driver": "raw_exec"}))
    assert drive(machine, changed["release"], kill_before="healthy") is None
    # Nothing of ours runs at a boot.
    units = "docker.service docker.socket"
    machine.sh(f"systemctl stop 'k8s4r-task-box-*' {units}; systemctl mask --runtime {units}; rm -f /run/docker.sock")
    machine.sh(f'systemd-run --unit=mute python3 -c "{MUTE}"')
    machine.until("test -S /run/docker.sock")
    began = time.monotonic()
    assert drive(machine, changed["release"], recover=True) is not None
    # Docker's answer is waited for, but not for each question.
    assert time.monotonic() - began < 15
    machine.until("pgrep -f '^sleep 777' >/dev/null")
    machine.sh("! test -e /var/lib/k8s4r/pending")
    machine.sh(f"systemctl stop mute; rm -f /run/docker.sock; systemctl unmask --runtime {units}; systemctl start docker")
    machine.until("docker ps -q 2>/dev/null | grep -q .")
    machine.sh("! docker exec $(docker ps -q) sh -c 'env | grep NEW='")
    assert machine.ask(plan)["status"] == "unchanged"


def test_a_tag_that_moves_changes_no_task(machine):
    plan = deployed(machine, box())
    machine.sh("tar -C /root/image -c --exclude=bin/nc . | docker import - look:1")
    (before,) = containers(machine)
    first = machine.sh(f"docker inspect -f '{{{{.Image}}}}' {before}")
    machine.sh(f"systemctl restart {unit(machine)}")
    machine.until("pgrep -x sleep >/dev/null")
    (again,) = containers(machine)
    assert machine.sh(f"docker inspect -f '{{{{.Image}}}}' {again}") == first
    # With the next deployment it does.
    assert machine.deploy(plan)["status"] == "committed"
    (after,) = containers(machine)
    assert machine.sh(f"docker inspect -f '{{{{.Image}}}}' {after}") != first


@pytest.fixture
def registry(machine):
    """A registry with a password, on the robot, that has the image private:1."""
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": "/root/registry"}},
        "http": {"addr": "127.0.0.1:5000"},
        "auth": {"htpasswd": {"realm": "tests", "path": "/root/htpasswd"}},
    }
    machine.sh(f"cat >/root/registry.yml <<'E'\n{json.dumps(config)}\nE\nhtpasswd -Bbc /root/htpasswd somebody right-canary")
    machine.sh("systemctl reset-failed; systemd-run --unit=registry docker-registry serve /root/registry.yml")
    machine.listens(5000)
    machine.sh(
        "echo right-canary | docker login -u somebody --password-stdin 127.0.0.1:5000 2>&1; docker tag look:1 127.0.0.1:5000/private:1;"
        " docker push -q 127.0.0.1:5000/private:1; docker logout 127.0.0.1:5000; docker rmi 127.0.0.1:5000/private:1"
    )
    yield "127.0.0.1:5000/private:1"
    machine.execute("systemctl stop registry")


# Somebody pushes another image by the name, and leaves none of it here.
MOVED = """
docker tag {0} kept:1
tar -C /root/image -c --exclude=bin/nc . | docker import - {0}
echo right-canary | docker login -u somebody --password-stdin 127.0.0.1:5000 2>&1
docker push -q {0}; docker logout 127.0.0.1:5000; docker rmi {0}; docker tag kept:1 {0}; docker rmi kept:1
"""


def auth(password: str) -> dict[str, str]:
    return {"username": "somebody", "password": password}


def test_an_image_is_pulled_with_a_password_that_stays_nowhere_and_goes_with_its_job(machine, registry):
    machine.sh("docker rmi look:1")
    # What costs nothing is refused first: here the port is another's.
    port = {"network": {"type": "none", "ports": [{"label": "web", "static": 5000, "to": 80}]}}
    taken = machine.deploy(job(machine, box(image=registry, Auth=auth("right-canary"), Ports=[{"label": "web"}]), group=port))
    assert (taken["status"], "5000" in taken["errors"][0]) == ("refused", True), taken
    assert "private" not in machine.sh("docker images -a")
    planned = machine.prepare(job(machine, box(image=registry, Auth=auth("right-canary"))), check=True)
    assert f"image {registry} is still to be fetched" in [change["does"] for change in planned["summary"]], planned
    assert "private" not in machine.sh("docker images -a")
    wrong = machine.deploy(job(machine, box(image=registry, Auth=auth("wrong-canary"))))
    assert wrong["status"] == "refused"
    assert "box.yml: taskGroups[0].tasks[0].config.dockerConfig.image: 127.0.0.1:5000/private:1 cannot be obtained" in wrong["errors"][0]
    assert "canary" not in json.dumps(wrong)
    plan = deployed(machine, box(image=registry, Auth=auth("right-canary")))
    machine.until("pgrep -x sleep >/dev/null")
    machine.absent("grep -rsl right-canary /var/lib/k8s4r /etc/k8s4r /run/k8s4r/results /root/.docker")
    assert machine.ask(plan)["status"] == "unchanged"
    # The registry has another one by now.
    machine.sh(MOVED.format(registry))
    (before,) = containers(machine)
    assert machine.ask(plan)["status"] == "unchanged"
    again = machine.deploy(plan, refresh=True)
    assert (again["status"], containers(machine) != [before]) == ("committed", True), again
    assert machine.deploy(plan, refresh=True)["status"] == "recorded"
    machine.sh("systemctl stop registry")
    kept = machine.deploy(plan, refresh=True)
    assert (kept["status"], f"image {registry} stays as it is: " in str(kept["summary"])) == ("recorded", True), kept
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    nothing_runs(machine)
    # The one that was replaced stays for a day.
    left = machine.sh("docker images -a --format '{{.Repository}}:{{.Tag}}'").split()
    assert sorted(name for name in left if "private:1" in name or "k8s4r.local" in name)[1:] == [], left


def test_an_image_is_loaded_from_a_file_of_the_robot_or_an_artifact(machine):
    machine.sh("docker tag look:1 filed:1; docker save filed:1 > /srv/filed.tar; docker rmi filed:1 look:1")
    plan = deployed(machine, box(image="filed:1", Load="/srv/filed.tar"))
    assert len(containers(machine)) == 1
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert "filed" not in machine.sh("docker images")
    # An artifact may be another image than the one that has its name.
    machine.sh("tar -C /root/image -c --exclude=bin/nc . | docker import - filed:1; docker save filed:1 | gzip >/srv/new")
    machine.sh("docker rmi filed:1; docker load -qi /srv/filed.tar")
    artifact = {"getterSource": "/srv/new", "getterOptions": {"archive": "false"}}
    plan = deployed(machine, box(image="filed:1", Load="local/new", artifacts=[artifact]))
    machine.sh("docker exec $(docker ps -q) sh -c '! test -e /bin/nc'")
    assert machine.ask(plan)["status"] == "unchanged"
    # One that brings another image under the name of a task's own.
    mine = machine.sh("docker images --format '{{.Repository}}:{{.Tag}}' k8s4r.local/box-g-*").strip()
    machine.sh(f"docker tag {mine} keep:1; tar -C /root/image -c bin | docker import - evil:1; docker tag evil:1 {mine}")
    machine.sh(f"docker save {mine} evil:1 >/srv/evil.tar; docker tag keep:1 {mine}; docker rmi evil:1")
    assert machine.prepare(job(machine, box(image="evil:1", Load="/srv/evil.tar"), name="evil"))["status"] == "staged"
    ids = machine.sh(f"docker inspect --format '{{{{.Id}}}}' {mine} keep:1 evil:1").split()
    assert (ids[0] == ids[1], ids[0] == ids[2]) == (True, False)
    machine.sh(f"docker rmi keep:1; docker rmi --force {ids[2]}")
    broken = {"getterSource": "/etc/hostname", "relativeDest": "local/i.tar", "getterMode": "file"}
    result = machine.deploy(job(machine, box(image="filed:1", Load="local/i.tar", artifacts=[broken])))
    assert (result["status"], "filed:1 cannot be obtained: " in result["errors"][0]) == ("refused", True), result
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert "k8s4r.local" not in machine.sh("docker images")


# What a task wants, and why it cannot have it.
REFUSED: tuple[tuple[dict[str, t.Any], str], ...] = (
    ({"image": "away:1", "Pull": "never"}, "found away:1: this robot does not have it, and pull is never"),
    ({"image": "other:1"}, "other:1 is for linux/s390x, and this robot is linux/amd64; name one that is for it"),
    ({"image": "away:1", "Load": "/srv/away.tar"}, "away:1 cannot be obtained: this robot has no file /srv/away.tar"),
    ({"Gpus": 1}, "gpus: this robot has no container runtime of NVIDIA's"),
)


def test_what_cannot_be_is_refused_and_nothing_is_touched(machine):
    deployed(machine, box())
    before = containers(machine)
    machine.sh(OTHER)
    tasks = [{**box(**keys), "name": f"t{number}"} for number, (keys, _why) in enumerate(REFUSED)]
    (plan,) = plans(machine, {"name": "box", "taskGroups": [{"name": "g", "tasks": tasks}]})
    result = machine.deploy(plan)
    assert (result["status"], len(result["errors"])) == ("refused", len(REFUSED)), result
    # What takes no network comes first.
    away = machine.deploy(job(machine, box(image="127.0.0.1:9/away:1")))
    whys = [*enumerate(why for _keys, why in REFUSED), (0, "127.0.0.1:9/away:1 cannot be obtained: ")]
    for (number, why), error in zip(whys, [*result["errors"], *away["errors"]], strict=True):
        assert error.startswith(f"box.yml: taskGroups[0].tasks[{number}].config.dockerConfig.image: {why}"), error
    assert containers(machine) == before


def test_without_docker_a_container_is_refused(machine):
    machine.sh("systemctl stop docker docker.socket")
    result = machine.deploy(job(machine, box()))
    assert (result["status"], "Docker is not running on this robot" in result["errors"][0]) == ("refused", True), result


def test_secrets_need_a_shell(machine):
    task = box(image="noshell:1", Command="/bin/sleep")
    task["config"]["dockerConfig"]["args"] = ["1000"]
    document = {"name": "box", "taskGroups": [{"name": "g", "tasks": [task]}]}
    (plan,) = plans(machine, document, secret={"KEY": "canary"})
    result = machine.deploy(plan)
    assert result["status"] == "refused"
    assert "noshell:1: variables with secret values are set by the image's own shell, and it has no /bin/sh" in result["errors"][0]
    assert machine.sh("docker ps -aq") == ""
    (plan,) = plans(machine, document)
    assert machine.deploy(plan)["status"] == "committed"


def test_a_published_port_leads_into_the_container(machine):
    script = "while :; do echo hello | nc -l -p 80; done"
    group = {"network": {"type": "none", "ports": [{"label": "web", "static": 8099, "to": 80}]}}
    plan = deployed(machine, box(script, NetworkMode="bridge", Ports=[{"label": "web"}]), group=group)
    machine.until("timeout 2 bash -c 'cat < /dev/tcp/127.0.0.1/8099' | grep -q hello")
    assert machine.ask(plan)["status"] == "unchanged"
    again = machine.deploy(job(machine, box(script, NetworkMode="bridge", Ports=[{"label": "web"}], env={"NEW": "1"}), group=group))
    assert again["status"] == "committed", again
    machine.until("timeout 2 bash -c 'cat < /dev/tcp/127.0.0.1/8099' | grep -q hello")


def test_a_container_of_a_batch_job_runs_once(machine):
    plan = job(machine, box("echo done"), type="batch")
    assert machine.deploy(plan)["status"] == "committed"
    said(machine, "done")
    machine.until(f"[ $(systemctl show -p ActiveState --value {unit(machine)}) = inactive ]")
    nothing_runs(machine)
    machine.deploy(job(machine, box("exit 7"), type="batch"))
    machine.until(f"[ $(systemctl show -p ExecMainStatus --value {unit(machine)}) = 7 ]")
