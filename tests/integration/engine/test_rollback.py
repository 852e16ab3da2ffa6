# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that does not come up is taken back as a whole, and the robot says why."""

from __future__ import annotations

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.harness import environment, pid
from tests.integration.engine.plans import SLEEP, Group, job, service

FAIL = "/bin/sh -c 'echo the reason is $PASSWORD; exit 7'"
SSH_FAILED = 255
STORE = "/var/lib/k8s4r/store"
SECRET = 'open sesame $"`\\ end'  # every character that an environment file escapes


def test_to_the_last_good_release(machine):
    group = Group()
    group.tasks["other"] = (SLEEP, "B=1")
    good = job(group)
    machine.deploy(good)
    before = pid(machine, group.unit("other"))
    group.tasks["main"] = (FAIL, 'PASSWORD="none"')
    group.tasks["new"] = (SLEEP, "N=1")
    done = machine.deploy(job(group))
    assert done["status"] == "rolled-back", done
    text = "\n".join(done["errors"])
    assert group.unit("main") in text
    assert "exit status 7" in text
    assert "the reason is none" in text
    assert "A=1" in environment(machine, group.unit("main"))
    assert pid(machine, group.unit("other")) == before
    machine.absent(f"test -e {group.data('new')} || test -e /etc/systemd/system/{group.unit('new')}")
    assert machine.ask(good) == {"status": "unchanged"}


def test_to_nothing_where_there_was_nothing(machine):
    group = Group()
    group.tasks["main"] = (FAIL, 'PASSWORD="none"')
    assert machine.deploy(job(group))["status"] == "rolled-back"
    machine.absent(f"id {group.user} || test -e /etc/k8s4r/groups/web || test -e {group.data('main')}")
    machine.absent("ls /var/lib/k8s4r/ledger /var/lib/k8s4r/store | grep -v : | grep .")


def test_a_port_that_somebody_took_during_the_switch(machine):
    """A proxy runs on without the listener that it could not have: every unit is up, and nothing is served."""
    group = Group()
    thief = "/usr/bin/systemd-run --quiet --collect --unit thief /usr/bin/python3 -m http.server --bind 127.0.0.1 5435"
    there = "until ss -ltn | grep -q :5435; do sleep 0.1; done"
    content = f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{thief}; {there}'\n"
    group.more = [plan.unit("k8s4r-init-thief.service", content, run="init")]
    group.ports = [plan.port("127.0.0.1", 5435, "here")]
    try:
        done = machine.deploy(job(group))
    finally:
        machine.sh("systemctl stop thief")
    assert done["status"] == "rolled-back", done
    assert done["errors"][0].startswith("web: here: port 5435 on 127.0.0.1 is taken by python3")


def test_the_other_group_of_the_run_commits(machine):
    bad, good = Group("bad"), Group("good")
    bad.tasks["main"] = (FAIL, 'PASSWORD="none"')
    done = machine.deploy(job(bad, good))
    assert done["status"] == "rolled-back"
    assert done["groups"] == {"bad": "rolled-back", "good": "committed"}
    assert machine.ask(job(bad, good)) == {"status": "plan-needed"}
    assert "A=1" in environment(machine, good.unit("main"))


def test_no_secret_in_any_text(machine):
    group = Group()
    escaped = SECRET.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$", "\\$")
    failing = ("/bin/sh -c 'echo \"$PASSWORD\"; exit 7'", f'PASSWORD="{escaped}"')
    group.secrets = [SECRET]

    def fails():
        group.tasks["main"] = failing
        check = machine.prepare(job(group), check=True)
        done = machine.deploy(job(group))
        assert done["status"] == "rolled-back", done
        assert "********" in "".join(done["errors"])
        for answer in (check, done):
            assert "sesame" not in str(answer)

    found = "grep -rl sesame /var/lib/k8s4r /run/k8s4r /etc/k8s4r"
    fails()
    machine.absent(found)
    # With a last good release there is a ledger, which could hold it too.
    group.tasks["main"] = (SLEEP, failing[1])
    assert machine.deploy(job(group))["status"] == "committed"
    fails()
    assert {path.rpartition("/")[0] for path in machine.sh(found).split()} == {"/var/lib/k8s4r/store", "/etc/k8s4r/groups/web/env"}
    # Kept twice.
    assert machine.sh("ls /var/lib/k8s4r/ledger").split() == ["default@shop.json", "default@shop.json.copy"]


def test_what_is_stuck_on_its_way_back_is_not_forgotten_when_other_jobs_change(machine):
    web, cam, third = Group("web"), Group("cam"), Group("third")
    # What is the same is kept once.
    cam.tasks["main"], third.tasks["main"] = (SLEEP, "C=1"), (SLEEP, "T=1")
    machine.deploy(job(web))
    kept = machine.sh(f"grep -l A=1 {STORE}/*").strip()
    web.tasks["main"] = (FAIL, 'PASSWORD="none"')
    machine.sh(f"mv {kept} /run/kept")
    done = machine.deploy(job(web))
    assert (done["status"], done["groups"]) == ("failed", {"web": "stuck"}), done
    (reason,) = (text for text in done["errors"] if text.startswith("web: rolling back failed: "))
    # It is tried again, told of, and in the way of nobody.
    done = machine.deploy(job(cam, name="other"))
    assert (done["status"], done["groups"], done["errors"]) == ("committed", {"cam": "committed"}, []), done
    assert f"{reason}; what is left of this earlier release is tried again by the next run and at boot" in done["notices"]
    # Two at once; and of these, one is brought up anew by its own job.
    machine.deploy(job(third, name="third"))
    machine.sh(f"rm $(grep -l T=1 {STORE}/*)")
    third.tasks.update(main=(FAIL, 'PASSWORD="none"'), extra=(SLEEP, "E=1"))
    assert machine.deploy(job(third, name="third"))["groups"] == {"third": "stuck"}
    cam.tasks["main"] = (SLEEP, "C=2")
    done = machine.deploy(job(cam, name="other"))
    assert (done["status"], sorted(text.partition(":")[0] for text in done["notices"])) == ("committed", ["third", "web"]), done
    third.tasks = {"main": (SLEEP, "T=3")}
    assert machine.state(third.unit("extra")) == "active"
    done = machine.deploy(job(third, name="third"))
    assert (done["status"], [text.partition(":")[0] for text in done["notices"]]) == ("committed", ["web"]), done
    machine.absent(f"test -e {third.data('extra')} || test -e /etc/systemd/system/{third.unit('extra')}")
    assert machine.state(third.unit("extra")) == "inactive"
    # As soon as it can be done, any run does it.
    machine.sh(f"mv /run/kept {kept}")
    assert machine.ask(job(cam, name="other")) == {"status": "plan-needed"}
    done = machine.deploy(job(cam, name="other"))
    assert (done["status"], done["notices"]) == ("committed", []), done
    assert "A=1" in environment(machine, web.unit("main"))
    assert "T=3" in environment(machine, third.unit("main"))
    assert machine.ask(job(cam, name="other")) == {"status": "unchanged"}
    machine.absent("ls /var/lib/k8s4r/releases /var/lib/k8s4r/pending 2>/dev/null | grep json")


def test_an_init_unit_that_fails(machine):
    group = Group()
    content = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo no disk; exit 4'\n"
    group.more = [plan.unit("k8s4r-init-web.service", content, run="init")]
    done = machine.deploy(job(group))
    assert done["status"] == "rolled-back"
    assert "exit status 4" in done["errors"][0]
    assert "no disk" in done["errors"][0]


def test_a_unit_that_runs_once(machine):
    group = Group()
    done_file = "/var/lib/k8s4r/groups/web/batch.done"
    content = (
        f"[Unit]\nConditionPathExists=!{done_file}\n[Service]\nType=exec\nExecStart=/bin/sleep 0.3\nExecStartPost=/bin/touch {done_file}\n"
    )
    group.more = [
        plan.directory("/var/lib/k8s4r/groups/web"),
        plan.unit("k8s4r-task-batch.service", content, run="once", done=done_file),
    ]
    assert machine.deploy(job(group))["status"] == "committed"
    machine.sh(f"while ! test -e {done_file} || systemctl is-active -q k8s4r-task-batch.service; do sleep 0.1; done")
    assert machine.ask(job(group)) == {"status": "unchanged"}
    group.more[1] = plan.unit("k8s4r-task-batch.service", content + "# again\n", run="once", done=done_file)
    assert f"start {'k8s4r-task-batch.service'}" in machine.deploy(job(group))["changes"]


def test_a_disk_that_fills_up_in_the_middle(machine):
    group = Group()
    machine.sh("mkdir -p /etc/k8s4r/groups")
    group.more = [plan.file("/etc/k8s4r/groups/web/large", "x" * 400000)]
    release = machine.prepare(job(group))["release"]
    machine.sh("mount -t tmpfs -o size=200k tmpfs /etc/k8s4r/groups")
    try:
        done = machine.finish(machine.call(op="switch", release=release))
    finally:
        machine.sh("umount /etc/k8s4r/groups")
    assert done["status"] == "rolled-back", done
    assert "disk full" in done["errors"][0]
    machine.absent(f"id {group.user} || test -e {group.data('main')}")


def test_a_unit_that_does_not_stop_keeps_its_files(machine):
    group = Group()
    name = "k8s4r-task-web-stubborn.service"
    group.more = [plan.unit(name, service(SLEEP), run="always")]
    good = job(group)
    machine.deploy(good)
    before = pid(machine, name)
    # For every unit whose name begins so: what is added to one unit alone would be put right.
    stubborn = "/run/systemd/system/k8s4r-task-web-.service.d"
    machine.sh(f"mkdir -p {stubborn}; printf '[Unit]\nRefuseManualStop=yes\n' > {stubborn}/stubborn.conf; systemctl daemon-reload")
    group.more = []
    try:
        done = machine.deploy(job(group))
        assert done["status"] == "rolled-back", done
        assert f"systemctl stop did not stop {name}: Failed to stop" in done["errors"][0]
        assert pid(machine, name) == before
        assert machine.ask(good) == {"status": "unchanged"}
    finally:
        machine.sh(f"rm -r {stubborn}; systemctl daemon-reload")
    assert machine.deploy(job(group))["status"] == "committed"
    assert pid(machine, name) == "0"


def test_a_unit_that_is_down_and_that_systemd_cannot_load_any_more_is_no_obstacle(machine):
    group = Group()
    name = "k8s4r-task-web-broken.service"
    group.more = [plan.unit(name, service(SLEEP), run="always")]
    machine.deploy(job(group))
    machine.sh(f"systemctl stop {name}; echo '[Service]' > /etc/systemd/system/{name}; systemctl daemon-reload")
    assert machine.execute(f"systemctl stop {name}").status not in (0, SSH_FAILED)
    group.more = []
    done = machine.deploy(job(group))
    assert done["status"] == "committed", done
    machine.absent(f"test -e /etc/systemd/system/{name}")
