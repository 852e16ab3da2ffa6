# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that are full, have no inodes left, or are read-only: who fills them can be removed, and the message says where and who."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.plans import SLEEP, Group, job

STATE = "/var/lib/k8s4r"
ROOMY = "mount -t tmpfs -o size=40m,nr_inodes=4000 tmpfs"
# Whatever fills it: by the byte, or by the file.
FILL = {
    "bytes": "dd if=/dev/zero of={0}/big bs=64k 2>/dev/null; dd if=/dev/zero of={0}/last bs=1 2>/dev/null; true",
    "inodes": "n=0; while touch {0}/$n-{{0..99}} 2>/dev/null; do n=$((n+1)); done; true",
}


def hog():
    group = Group("hog")
    group.tasks = {"main": (SLEEP, "A=1")}
    return group


def fill(machine, what, directory):
    machine.sh(f"bash -c '{FILL[what].format(directory)}'")


@pytest.mark.parametrize("what", FILL)
def test_who_fills_the_disk_is_named_and_can_be_mended_and_removed(machine, mounted, what):
    mounted(STATE, ROOMY)
    group = hog()
    assert machine.deploy(job(group))["status"] == "committed"
    fill(machine, what, group.data("main"))
    refused = machine.prepare(job(Group("other"), name="other"))
    assert refused["status"] == "refused", refused
    (text,) = refused["errors"]
    assert text.startswith(f"disk full: the file system at {STATE} has ")
    assert "; data of task groups there: hog " in text
    assert " 0.0 " not in text
    group.tasks["main"] = (SLEEP, "A=2")
    mended = machine.deploy(job(group))
    assert (mended["status"], mended.get("errors")) == ("committed", []), mended
    gone = machine.deploy(job())
    assert (gone["status"], gone["errors"]) == ("committed", []), gone
    machine.absent(f"ls -d {group.data('main')} 2>/dev/null | grep .")
    assert machine.deploy(job(Group("other"), name="other"))["status"] == "committed"
    # The reserve has been filled again.
    assert int(machine.sh(f"ls {STATE}/reserve | wc -l")) == 96


def test_a_program_that_takes_every_free_byte_at_once_is_removed(machine, mounted):
    mounted(STATE, ROOMY)
    group = hog()
    eater = f"while :; do dd if=/dev/zero of={group.data('main')}/$((n+=1)) bs=4k 2>/dev/null; done"
    group.tasks["main"] = (f"/bin/sh -c '{eater}'".replace("$", "$$"), "A=1")
    assert machine.deploy(job(group))["status"] == "committed"
    machine.until(f"test $(df --output=avail {STATE} | tail -1) = 0")
    gone = machine.deploy(job())
    assert (gone["status"], gone["errors"]) == ("committed", []), gone


def test_a_switch_that_meets_a_full_disk_goes_back_and_says_so(machine, mounted):
    mounted(STATE, ROOMY)
    first, second = Group("first"), Group("second")
    assert machine.deploy(job(first, second))["status"] == "committed"
    home = f"{STATE}/groups/first"
    filler = f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{FILL['bytes'].format(home)}'\n"
    large = f"{STATE}/groups/second/large"
    first.more = [plan.directory(home), plan.unit("k8s4r-init-first.service", filler, run="init")]
    second.more = [plan.directory(f"{STATE}/groups/second"), plan.file(large, "x" * 200000)]
    done = machine.deploy(job(first, second))
    assert done["status"] == "rolled-back", done
    assert (
        done["errors"][0] == f"second: disk full: the file system at {STATE} has no space or no inodes left for {STATE}/groups/second/large"
    )
    assert machine.state(second.unit("main")) == "active"
    assert machine.deploy(job())["status"] == "committed"


def test_what_a_ledger_that_cannot_be_written_does_not_have_is_not_forgotten(machine, mounted):
    """The new release runs, and its job is removed next: nothing of it may run on."""
    group = hog()
    release = machine.prepare(job(group))["release"]
    mounted(f"{STATE}/ledger", f"mount --bind {STATE}/ledger")
    machine.sh(f"mount -o remount,bind,ro {STATE}/ledger")
    done = machine.finish(machine.call(op="switch", release=release))
    assert (done["status"], done["groups"]) == ("failed", {"hog": "commit"}), done
    (text,) = done["errors"]
    assert text.startswith(f"hog: read-only: the file system at {STATE}/ledger cannot be changed")
    assert machine.state(group.unit("main")) == "active"
    machine.sh(f"mount -o remount,bind,rw {STATE}/ledger")
    gone = machine.deploy(job())
    assert (gone["status"], gone["errors"]) == ("committed", []), gone
    machine.absent(f"test -e {group.data('main')} || test -e /etc/systemd/system/{group.unit('main')}")
    assert machine.state(group.unit("main")) == "inactive"
    machine.absent(f"ls {STATE}/releases {STATE}/pending 2>/dev/null | grep json")


def test_a_full_run_is_named(machine, mounted):
    assert machine.deploy(job(Group()))["status"] == "committed"
    mounted("/run/k8s4r", "mount -t tmpfs -o size=64k tmpfs")
    fill(machine, "bytes", "/run/k8s4r")
    refused = machine.deploy(job())
    assert refused["status"] == "refused"
    assert refused["errors"][0].startswith("disk full: the file system at /run/k8s4r has no space or no inodes left for /run/k8s4r/")
    assert machine.ask(job(Group())) == {"status": "unchanged"}


@pytest.fixture
def small_run(machine):
    """/run of the robot has few inodes, and little more than the 16 MiB without which systemd loads no unit files, until the test ends."""
    machine.sh("mount -o remount,size=40m,nr_inodes=2500 /run")
    yield machine
    machine.sh("mount -o remount,size=64m,nr_inodes=100000 /run; systemctl stop 'k8s4r-*' --all; rm -rf /run/k8s4r/secrets")


@pytest.mark.parametrize("what", FILL)
def test_who_fills_the_robots_run_is_named_and_can_be_removed(small_run, what):
    """What a template puts into the `secrets` of a task is there, and so is what the task puts beside it."""
    group = hog()
    group.extra = "RuntimeDirectory=k8s4r/secrets/hog-main"
    done = small_run.deploy(job(group))
    assert (done["status"], done["errors"]) == ("committed", []), done
    fill(small_run, what, "/run/k8s4r/secrets/hog-main")
    refused = small_run.deploy(job(Group("other"), name="other"))
    assert refused["status"] in ("refused", "failed"), refused
    text = "; ".join(refused["errors"])
    assert "the file system at /run" in text
    assert "; data of task groups there: hog " in text
    gone = small_run.deploy(job())
    assert (gone["status"], gone["errors"]) == ("committed", []), gone
    small_run.absent("ls -d /run/k8s4r/secrets/hog-main 2>/dev/null | grep .")
    assert small_run.deploy(job(Group("other"), name="other"))["status"] == "committed"
    # The reserve has been filled again.
    assert int(small_run.sh("ls /run/k8s4r/reserve | wc -l")) == 28


def test_a_program_that_takes_every_free_byte_of_the_robots_run_is_removed(small_run):
    group = hog()
    eater = "while :; do dd if=/dev/zero of=/run/k8s4r/secrets/hog-main/$((n+=1)) bs=4k 2>/dev/null; done"
    group.tasks["main"] = (f"/bin/sh -c '{eater}'".replace("$", "$$"), "A=1")
    group.extra = "RuntimeDirectory=k8s4r/secrets/hog-main"
    done = small_run.deploy(job(group))
    assert (done["status"], done["errors"]) == ("committed", []), done
    small_run.until("test $(df --output=avail /run | tail -1) = 0")
    gone = small_run.deploy(job())
    assert (gone["status"], gone["errors"]) == ("committed", []), gone


def test_a_full_etc_is_named(machine, mounted):
    machine.sh("mkdir -p /mnt/etc")
    mounted("/mnt/etc", "mount -t tmpfs -o size=4m tmpfs")
    machine.sh("cp -a /etc/. /mnt/etc/")
    mounted("/etc", "mount --bind /mnt/etc")
    assert machine.deploy(job(Group()))["status"] == "committed"
    fill(machine, "bytes", "/etc")
    group = Group()
    group.more = [plan.file("/etc/k8s4r/groups/web/more", "x" * 5000)]
    refused = machine.prepare(job(group))
    assert refused["status"] == "refused"
    assert refused["errors"][0].startswith("disk full: the file system at /etc has 0 bytes free of 4.0 MiB; ")
    gone = machine.deploy(job())
    machine.absent(
        "ls -d /etc/k8s4r/groups/web /etc/systemd/system/k8s4r-group-web.target /var/lib/k8s4r/tasks/web-main 2>/dev/null | grep ."
    )
    # The system's own programs, which know no reserve, cannot take the user away: that is the next run's.
    assert gone["status"] in ("committed", "failed"), gone
    machine.sh("rm /etc/big /etc/last")
    done = machine.deploy(job())
    assert done["status"] in ("committed", "recorded"), done
    machine.absent("grep k8s4r-web /etc/passwd")


def test_a_read_only_etc_is_found_before_anything_is_touched(machine, mounted):
    mounted("/etc", "mount --bind /etc")
    machine.sh("mount -o remount,bind,ro /etc")
    first = machine.prepare(job(Group()))
    assert first["status"] == "refused"
    assert first["errors"][0].startswith("read-only: the file system at /etc cannot be changed: /etc/")
    machine.sh("mount -o remount,bind,rw /etc")
    assert machine.deploy(job(Group()))["status"] == "committed"
    machine.sh("mount -o remount,bind,ro /etc")
    group = Group()
    group.tasks["main"] = (SLEEP, "A=2")
    for check in (True, False):
        refused = machine.prepare(job(group), check=check)
        assert refused["status"] == "refused"
        (text,) = refused["errors"]
        assert text == "read-only: /etc/k8s4r/groups/web/env cannot be changed, for the file system at /etc is mounted read-only"
    assert machine.ask(job(Group())) == {"status": "unchanged"}
    machine.sh("mount -o remount,bind,rw /etc")
