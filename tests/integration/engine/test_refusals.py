# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that prepare refuses, before anything of the robot is touched."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.harness import request_of
from tests.integration.engine.plans import SLEEP, WAITING, Group, job
from tests.robots.host import wait_for


def refused(machine, *jobs, **options):
    """The errors of a refusal that left nothing behind."""
    answer = machine.prepare(*jobs, **options)
    assert answer["status"] == "refused", answer
    machine.absent("ls /var/lib/k8s4r/store /var/lib/k8s4r/releases | grep -v : | grep .")
    return answer["errors"]


def test_a_port_that_somebody_else_has(machine):
    machine.sh("systemd-run --quiet --unit other python3 -m http.server --bind 127.0.0.1 5432")
    machine.listens(5432)
    group = Group()
    group.ports = [plan.port("127.0.0.1", 5432, "spec.taskGroups[0].network.upstreams[0].localPort")]
    try:
        (error,) = refused(machine, job(group))
        holder = machine.sh("systemctl show -p MainPID --value other").strip()
    finally:
        machine.sh("systemctl stop other")
    assert error.startswith("spec.taskGroups[0].network.upstreams[0].localPort: port 5432 on 127.0.0.1 is taken by python3")
    assert f"process {holder}, unit other.service" in error


def test_a_port_that_another_job_has_and_its_own(machine):
    group = Group()
    group.tasks["main"] = ("/usr/bin/python3 -m http.server --bind 127.0.0.1 5433", "A=1")
    group.ports = [plan.port("127.0.0.1", 5433, "here")]
    assert machine.deploy(job(group))["status"] == "committed"
    group.tasks["main"] = (group.tasks["main"][0], "A=2")
    assert machine.deploy(job(group))["status"] == "committed"
    other = Group("other")
    other.ports = [plan.port("0.0.0.0", 5433, "there")]
    errors = machine.prepare(job(other, name="mall"))["errors"]
    assert [error for error in errors if error.startswith("there: port 5433 on 0.0.0.0 belongs to web; ")], errors


def test_a_port_that_a_program_of_another_group_of_the_same_job_has(machine):
    """That program is not replaced before this group comes up; only a group that goes altogether makes room."""
    group, other = Group(), Group("other")
    group.tasks["main"] = ("/usr/bin/python3 -m http.server --bind 127.0.0.1 5434", "A=1")
    assert machine.deploy(job(group))["status"] == "committed"
    other.ports = [plan.port("127.0.0.1", 5434, "there")]
    (error,) = machine.prepare(job(group, other))["errors"]
    assert error.startswith("there: port 5434 on 127.0.0.1 is taken by python3")
    assert machine.deploy(job(other))["status"] == "committed"


def test_what_another_job_owns(machine):
    group = Group()
    assert machine.deploy(job(group))["status"] == "committed"
    errors = machine.prepare(job(group, name="mall"))["errors"]
    assert f"web: unit {group.unit('main')} belongs to web on this robot" in errors
    assert f"web: user {group.user} belongs to web on this robot" in errors


def test_a_directive_that_systemd_does_not_know(machine):
    group = Group()
    content = "[Service]\nExecStart=/bin/true\nMemoryMaxx=1\n[Servicee]\nX=1\n"
    group.more = [plan.unit("k8s4r-odd.service", content)]
    errors = refused(machine, job(group))
    assert any("MemoryMaxx" in error and "k8s4r-odd.service:3" in error for error in errors), errors
    assert any("Servicee" in error for error in errors), errors
    assert refused(machine, job(group), check=True) == errors


def test_a_unit_that_requires_one_that_is_not_there(machine):
    group = Group()
    group.more = [plan.unit("k8s4r-lost.service", "[Unit]\nRequires=k8s4r-nowhere.service\n[Service]\nExecStart=/bin/true\n")]
    assert any("k8s4r-nowhere.service" in error for error in refused(machine, job(group)))


def test_a_program_that_is_not_there(machine):
    """Found before what runs is stopped for it."""
    group = Group()
    group.programs = [plan.program("/opt/later/program", "here"), plan.program("/etc/hostname", "there"), plan.program("/bin/sh", "x")]
    assert refused(machine, job(group)) == [
        "here: /opt/later/program is not on this robot; install it, or have an init task do so",
        "there: /etc/hostname is not executable; make it so (chmod +x), or have an init task do so",
    ]


@pytest.mark.parametrize("check", [False, True])
def test_what_is_wrong_beside_a_container_is_said_though_there_is_no_docker(machine, check):
    group = Group()
    group.programs = [plan.program("/opt/later/program", "here")]
    group.more = [plan.image("k8s4r.local/web:0123456789ab", "box:1", "missing", "there")]
    docker, program = refused(machine, job(group), check=check)
    assert docker.startswith("there: this robot has no Docker"), docker
    assert program.startswith("here: /opt/later/program is not on this robot"), program


def test_a_program_that_is_not_there_yet_is_no_error(machine):
    group = Group()
    group.programs = [plan.program("/opt/later/program", "here")]
    group.more = [plan.unit("k8s4r-init.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", run="init")]
    assert machine.prepare(job(group))["status"] == "staged"
    group.programs = []
    group.more = [plan.unit("k8s4r-later.service", "[Service]\nType=exec\nExecStart=/opt/later/program\n")]
    assert machine.prepare(job(group))["status"] == "staged"


def test_a_check_that_fails(machine):
    group = Group()
    argv = ["/bin/sh", "-c", 'stat -c %a "$0"; cat "$0/a.conf"; exit 3', "{dir}"]
    group.checks = [plan.check("configuration", argv, {"a.conf": "line 7 is wrong\n"})]
    (error,) = refused(machine, job(group))
    assert error == "web: configuration ended with status 3: 700\n    line 7 is wrong"
    machine.absent("ls /run | grep k8s4r-check")


def test_what_is_missing_is_named_and_nothing_staged(machine):
    group = Group()
    group.needs = [plan.need("/opt/k8s4r/bin/envoy", "envoy"), plan.need("/bin/sh", "shell")]
    answer = machine.prepare(job(group))
    assert (answer["status"], answer["missing"]) == ("lacking", ["envoy"])
    machine.absent("ls /var/lib/k8s4r/store | grep .")


def test_an_owner_that_the_robot_has_not_got(machine):
    group = Group()
    group.more = [plan.directory("/var/lib/k8s4r/groups/web", owner="nobody-here")]
    assert refused(machine, job(group)) == ["web: there is no user nobody-here on this robot; create it, or name another"]


def test_disk_full(machine):
    group = Group()
    machine.prepare(job(group))
    machine.sh("mount -t tmpfs -o size=400k tmpfs /var/lib/k8s4r/store")
    try:
        group.more = [plan.file("/etc/k8s4r/groups/web/large", "x" * 800000)]
        answer = machine.prepare(job(group))
        assert answer["status"] == "refused"
        assert answer["errors"][0].startswith("disk full")
    finally:
        machine.sh("umount /var/lib/k8s4r/store")


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/k8s4r/groups/../../passwd", "/etc/k8s4r/groups/", "/etc/k8s4r/groups/a\nb", "etc/x"])
def test_a_path_outside(machine, path):
    group = Group()
    group.more = [plan.file(path, "x")]
    assert len(refused(machine, job(group))) == 1


def test_wrong_assumptions(machine):
    request = dict(request_of(job(Group())), assumptions={"systemd": "999", "arch": "amd64"})
    answer = machine.call(**request)
    assert answer["status"] == "stale"
    assert answer["capabilities"]["systemd"].isdigit()
    assert machine.call(**dict(request, assumptions=answer["capabilities"]))["status"] == "plan-needed"


def test_two_runs_at_once(machine):
    group = Group()
    machine.sh("rm -f /run/goes-on")
    group.more = [plan.unit("k8s4r-init-slow.service", WAITING, run="init")]
    prepared = machine.prepare(job(group))
    assert machine.call(op="switch", release=prepared["release"])["status"] == "pending"
    errors = machine.prepare(job(Group("other"), name="mall"))["errors"]
    assert "tests@controller is changing this robot (since " in errors[0]
    unit = f"k8s4r-switch-{prepared['release']}.service"
    assert f"wait until that run ends, or end it on the robot: systemctl stop {unit}; " in errors[0]
    assert machine.state(unit) == "active"
    machine.sh("touch /run/goes-on")
    assert machine.finish(machine.call(op="poll", release=prepared["release"]))["status"] == "committed"


def test_a_run_that_was_overtaken(machine):
    first, second = Group(), Group()
    first.tasks["main"] = (SLEEP, "A=1")
    second.tasks["main"] = (SLEEP, "A=2")
    overtaken = machine.prepare(job(first), who="somebody@else")
    assert machine.deploy(job(second))["status"] == "committed"
    answer = machine.finish(machine.call(op="switch", release=overtaken["release"]))
    assert answer["status"] == "refused"
    assert "another run changed this job" in answer["errors"][0]
    assert machine.ask(job(second)) == {"status": "unchanged"}


def test_what_was_prepared_and_is_prepared_anew_leaves_nothing(machine):
    """As where another robot refuses: a run prepares all robots, and switches none."""
    group = Group()
    group.tasks["main"] = (SLEEP, "PASSWORD=canary")
    first = machine.prepare(job(group))
    assert machine.sh("grep -rl canary /var/lib/k8s4r/store")
    machine.prepare(job(Group("other"), name="mall"))
    assert machine.sh("grep -rl canary /var/lib/k8s4r/store"), "another job says nothing of this one"
    group.tasks["main"] = (SLEEP, "A=1")
    assert machine.deploy(job(group))["status"] == "committed"
    machine.absent("grep -rl canary /var/lib/k8s4r")
    answer = machine.finish(machine.call(op="switch", release=first["release"]))
    assert "is no longer staged on this robot; run again" in answer["errors"][0]


def test_a_port_that_somebody_takes_after_the_switch(machine):
    group = Group()
    group.ports = [plan.port("127.0.0.1", 5436, "here")]
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    assert done["notices"][0].startswith("here: nothing is listening on port 5436 of 127.0.0.1 yet")
    assert machine.ask(job(group)) == {"status": "unchanged"}
    machine.sh("systemd-run --quiet --unit other python3 -m http.server --bind 127.0.0.1 5436")
    machine.listens(5436)
    try:
        assert machine.ask(job(group)) == {"status": "plan-needed"}
        (error,) = machine.prepare(job(group))["errors"]
    finally:
        machine.sh("systemctl stop other")
    assert error.startswith("here: port 5436 on 127.0.0.1 is taken by python3")


def test_an_address_that_is_not_the_robots(machine):
    group = Group()
    group.ports = [plan.port("192.0.2.9", 5437, "here")]
    assert refused(machine, job(group)) == ["here: 192.0.2.9 is not an address of this robot"]


def test_what_a_group_needs_and_has_lost(machine):
    """Its agent's socket, say: what runs goes on, and the next run sees to it."""
    group = Group()
    group.needs = [plan.need("/run/needed", "spire_agent")]
    machine.sh("touch /run/needed")
    assert machine.deploy(job(group))["status"] == "committed"
    assert machine.ask(job(group)) == {"status": "unchanged"}
    machine.sh("rm /run/needed")
    assert machine.ask(job(group)) == {"status": "plan-needed"}
    assert machine.prepare(job(group))["missing"] == ["spire_agent"]
    (status,) = machine.call(op="status")["jobs"]
    assert status["groups"]["web"]["lacks"] == [plan.need("/run/needed", "spire_agent")]


def test_a_unit_that_is_up_between_two_ends_is_told_of(machine):
    group = Group()
    machine.sh("rm -f /run/ends")
    group.tasks["main"] = ("/bin/sh -c 'until [ -e /run/ends ]; do sleep 0.1; done; sleep 3; exit 1'", "A=1")
    assert machine.deploy(job(group))["status"] == "committed"
    machine.sh("touch /run/ends")
    told = []
    wait_for(lambda: told.append(machine.ask(job(group))) or "notices" in told[-1], 120, "nothing is said of the restarts")
    assert told[-1]["status"] == "unchanged"
    assert "restarted" in told[-1]["notices"][0]


@pytest.mark.parametrize("name", ["../../../tmp/x", "", "a/b", None, 3, ".x", "x" * 64])
def test_a_job_that_cannot_be_one(machine, name):
    answer = machine.call(op="prepare", jobs=[{"namespace": name, "name": "y", "digest": "d", "empty": True}], who="x")
    assert answer["status"] == "refused"
    assert answer["errors"] == [f"invalid job: namespace {name!r}, name 'y'"]
