# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and what belongs to them, on the oldest systemd and the newest: nobody inherits, and what changes hands is usable."""

from __future__ import annotations

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, shell, without_groups
from tests.integration.engine.harness import Machine, pid

machine = each_of(ENDS)

# A copy of a shell that makes whoever starts it the group's user, a background process that leaves the unit's control group as
# those do that cron starts, and files where every user may write.
LEAVE = """
cp /bin/sh /srv/left/shell && chmod 6755 /srv/left/shell
touch /dev/shm/left /run/lock/left /var/tmp/left
: >$NOMAD_ALLOC_DIR/ready
exec sleep 1000
"""


def user_id(machine: Machine, unit: str) -> int:
    return int(machine.sh(f"stat -c %u /proc/{pid(machine, unit)}"))


def unit(plan) -> str:
    (name,) = [r["name"] for group in plan["groups"] for r in group["resources"] if r["kind"] == "unit" and "-task-" in r["name"]]
    return name


def test_nobody_inherits_from_a_group_that_is_gone(machine):
    machine.sh("rm -rf /srv/left; mkdir -m 1777 /srv/left; [ ! -e /var/tmp/left ]")
    first = job(machine, "first", shell("leaves", LEAVE, driver="raw_exec"))
    assert machine.deploy(first)["status"] == "committed"
    machine.until("[ -e /var/lib/k8s4r/groups/first-*/alloc/ready ]")
    number = user_id(machine, unit(first))
    assert machine.sh("stat -c %u /srv/left/shell /dev/shm/left").split() == [str(number)] * 2
    machine.absent("test -e /var/tmp/left")
    # As cron would: a process of the user that is in none of our units.
    machine.sh(f"setpriv --reuid={number} --clear-groups setsid sleep 1001 >/dev/null 2>&1 &")
    machine.until(f"pgrep -u {number} -xf 'sleep 1001' >/dev/null")
    assert machine.deploy(without_groups(first))["status"] == "committed"
    machine.gone("sleep 1001")
    machine.absent("getent passwd | grep k8s4r-")

    second = job(machine, "second", shell("comes", "exec sleep 1000", driver="raw_exec"))
    assert machine.deploy(second)["status"] == "committed"
    assert user_id(machine, unit(second)) != number
    # Who comes again gets its own number again: it may be the first to know its files.
    assert machine.deploy(first)["status"] == "committed"
    assert user_id(machine, unit(first)) == number


# Writes in all of the task's places, and goes on making new files until it is stopped.
WRITE = """
for place in . $NOMAD_ALLOC_DIR /tmp; do echo "$(id -un)" >>$place/who || exit 1; done
mkdir -p deep/er && echo x >>deep/er/file || exit 1
ln -sf /etc/passwd link
while echo x >>.renewed && mv .renewed /tmp/renewed; do sleep 0.01; done
"""
WHO = "cat {task}/local/who {group}/alloc/who {group}/tmp/who".format(
    task="/var/lib/k8s4r/tasks/hands-g-r0-works-*", group="/var/lib/k8s4r/groups/hands-g-*"
)


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_what_a_task_wrote_changes_hands_with_it(machine, driver):
    names = []
    for user in ({}, {"user": "nobody"}, {}):
        plan = job(machine, "hands", shell("works", WRITE, driver=driver, **user))
        result = machine.deploy(plan)
        assert result["status"] == "committed", result
        names.append(user.get("user") or next(r["name"] for r in plan["groups"][0]["resources"] if r["kind"] == "user"))
        machine.until(f"[ $({WHO} | wc -l) = {len(names) * 3} ]")
        assert machine.sh(WHO).split() == names * 3
        # The directories that tasks share are whose they were.
        assert machine.ask(plan) == {"status": "unchanged"}
    assert machine.sh("stat -c %U /etc/passwd").strip() == "root"


def test_what_belongs_to_another_task_of_the_group_stays_its_own(machine):
    def deploy(**user):
        works = shell("works", "echo x >>mine; echo x >>$NOMAD_ALLOC_DIR/works; exec sleep 1000", **user)
        return machine.deploy(job(machine, "stays", works, shell("other", "echo x >>$NOMAD_ALLOC_DIR/other; exec sleep 1000")))

    notes = "/var/lib/k8s4r/groups/stays-g-*/alloc"
    assert deploy()["status"] == "committed"
    machine.until(f"[ -e {notes}/other ] && [ -e {notes}/works ]")
    owner = machine.sh("stat -c %U /var/lib/k8s4r/groups/stays-g-*/alloc/other").strip()
    assert deploy(user="nobody")["status"] == "committed"
    machine.until("[ $(cat /var/lib/k8s4r/tasks/stays-g-r0-works-*/local/mine | wc -l) = 2 ]")
    assert machine.sh("stat -c %U /var/lib/k8s4r/groups/stays-g-*/alloc/other").strip() == owner
    assert machine.sh("stat -c %U /var/lib/k8s4r/tasks/stays-g-r0-works-*/local/mine").strip() == "nobody"


def test_the_directory_of_a_task_that_was_deleted_is_made_again_and_the_task_started_in_it(machine):
    plan = job(machine, "home", shell("works", "echo $$ >>pid; exec sleep 1000"), shell("other", "exec sleep 1000"))
    assert machine.deploy(plan)["status"] == "committed"
    machine.until("test -s /var/lib/k8s4r/tasks/home-g-r0-works-*/local/pid")
    works, other = (r["name"] for group in plan["groups"] for r in group["resources"] if r["kind"] == "unit" and "-task-" in r["name"])
    before = pid(machine, works), pid(machine, other)
    machine.sh("rm -r /var/lib/k8s4r/tasks/home-g-r0-works-*/local")
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    assert pid(machine, works) != before[0]
    assert pid(machine, other) == before[1]
    machine.until("test -s /var/lib/k8s4r/tasks/home-g-r0-works-*/local/pid")


def test_a_user_who_is_not_there_is_named_with_its_place_in_the_job(machine):
    plan = job(machine, "misspelt", shell("works", "exec sleep 1000", user="nobodyy"))
    result = machine.prepare(plan)
    assert result["status"] == "refused"
    assert result["errors"] == [
        "misspelt.yml: taskGroups[0].tasks[0].user: there is no user nobodyy on this robot; create it, or name another"
    ]


def test_what_was_added_to_a_unit_by_hand_is_seen_and_goes(machine):
    plan = job(machine, "added", shell("works", "exec sleep 1000"))
    name = unit(plan)
    assert machine.deploy(plan)["status"] == "committed"
    for directory in ("/etc/systemd/system", "/run/systemd/system"):
        machine.sh(f"mkdir -p {directory}/{name}.d; printf '[Service]\\nEnvironment=BY=hand\\n' >{directory}/{name}.d/override.conf")
        machine.sh(f"systemctl daemon-reload; systemctl restart {name}")
        assert machine.ask(plan)["status"] == "plan-needed"
        prepared = machine.prepare(plan)
        [difference] = prepared["diff"]
        assert f"# {directory}/{name}.d/override.conf" in difference["before"]
        assert "Environment=BY=hand" in difference["before"]
        assert machine.deploy(plan)["status"] == "committed"
        machine.absent(f"test -e {directory}/{name}.d")
        machine.absent(f"tr '\\0' '\\n' </proc/{pid(machine, name)}/environ | grep BY=")
        assert machine.ask(plan)["status"] == "unchanged"
    machine.sh(f"systemctl set-property {name} CPUWeight=50")
    assert machine.ask(plan)["status"] == "plan-needed"
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    machine.absent(f"find /etc/systemd /run/systemd -name '{name}*' | grep .")
