# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of the engine's own, harmed one by one: it is named, other jobs go on, and the next run of its job puts it right."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import pid
from tests.integration.engine.interrupted import drive
from tests.integration.engine.plans import SLEEP, Group, job

STATE = "/var/lib/k8s4r"
LEDGER = f"{STATE}/ledger/default@shop.json"
HARM = {
    "truncated": "truncate -s $(($(stat -c %s {0}) / 2)) {0}",
    "emptied": "truncate -s 0 {0}",
    "rubbish": "head -c 300 /dev/urandom > {0}",
    "removed": "rm {0}",
}


def other(value="A=1"):
    group = Group("other")
    group.tasks["main"] = (SLEEP, value)
    return job(group, name="other")


@pytest.fixture
def group(machine):
    """A group that runs, of the job whose state is about to be harmed; beside it runs another job."""
    group = Group()
    assert machine.deploy(job(group), other())["status"] == "committed"
    return group


def do(machine, harm, *paths):
    machine.sh("; ".join(HARM[harm].format(path) for path in paths))


def test_what_somebody_has_removed_is_missed_although_all_runs(machine, group):
    def gone():
        return [each["gone"] for found in machine.call(op="status")["jobs"] for each in found["groups"].values() if each["gone"]]

    assert gone() == []
    removed = sorted([f"/etc/systemd/system/{group.unit('main')}", group.env("main")])
    machine.sh(f"rm {' '.join(removed)}")
    assert gone() == [removed]
    assert machine.deploy(job(group))["status"] == "committed"
    assert gone() == []


def test_a_ledger_file_is_written_anew_from_its_copy(machine, group):
    running = pid(machine, group.unit("main"))
    for harm in HARM:
        do(machine, harm, LEDGER)
        assert machine.ask(other()) == {"status": "unchanged"}
        assert machine.ask(job(group)) == {"status": "plan-needed"}
        checked = machine.prepare(job(group), check=True)
        assert (checked["status"], checked["steps"]) == ("planned", [])
        answer = machine.prepare(job(group))
        assert answer["status"] == "recorded", answer
        assert answer["notices"][0].startswith(f"{LEDGER} is {'missing' if harm == 'removed' else 'damaged'}")
        assert answer["notices"][0].endswith("; it is restored from its copy")
        assert machine.ask(job(group)) == {"status": "unchanged"}
    assert pid(machine, group.unit("main")) == running


def test_a_ledger_file_without_its_copy_is_rebuilt_from_the_plan(machine):
    group = Group()
    group.tasks["old"] = (SLEEP, "O=1")
    assert machine.deploy(job(group), other())["status"] == "committed"
    machine.sh(f"touch {group.data('main')}/precious")
    do(machine, "rubbish", LEDGER, f"{LEDGER}.copy")
    assert machine.deploy(other("A=2"))["status"] == "committed"
    assert machine.call(op="status")["unread"][0].startswith(f"{LEDGER} is damaged")
    del group.tasks["old"]
    # A release that does not start takes no data with it, though nothing is known of the one before.
    group.tasks["main"] = ("/bin/false", "A=1")
    prepared = machine.prepare(job(group))
    damaged, unclaimed = prepared["notices"]
    assert damaged.startswith(f"{LEDGER} is damaged")
    assert f"/etc/systemd/system/{group.unit('old')}" in unclaimed
    assert group.unit("main") not in unclaimed
    assert group.unit("other") not in unclaimed
    failed = machine.finish(machine.call(op="switch", release=prepared["release"]))
    assert failed["status"] == "rolled-back", failed
    machine.sh(f"ls {group.data('main')}/precious")
    group.tasks["main"] = (SLEEP, "A=1")
    done = machine.deploy(job(group))
    assert (done["status"], done["errors"]) == ("committed", [])
    machine.sh(f"ls {group.data('main')}/precious")
    assert machine.ask(job(group)) == {"status": "unchanged"}


def test_units_whose_job_nobody_knows_any_more_are_named_until_it_is_deployed_again(machine, group):
    unit = group.unit("main")
    machine.sh(f"mkdir /etc/systemd/system/{group.unit('main')}.d")
    assert machine.call(op="status")["unclaimed"] == []
    machine.sh(f"rm {LEDGER} {LEDGER}.copy")
    status = machine.call(op="status")
    assert unit in status["unclaimed"]
    assert group.target in status["unclaimed"]
    assert machine.state(unit) == "active"
    machine.sh(f"rmdir /etc/systemd/system/{group.unit('main')}.d")
    assert machine.deploy(job(group))["status"] == "committed"
    assert machine.call(op="status")["unclaimed"] == []


@pytest.mark.parametrize("unit", ["spire-server.service", "spire-agent.service"])
def test_what_gives_out_identities_is_told_of_where_it_should_run_and_does_not(machine, unit):
    place, link = f"/etc/systemd/system/{unit}", f"/etc/systemd/system/multi-user.target.wants/{unit}"
    machine.sh(
        f"printf '[Service]\\nExecStart=/bin/sleep 1000\\n' >{place}; ln -s {place} {link}; systemctl daemon-reload; systemctl start {unit}"
    )
    try:
        assert machine.call(op="status")["idle"] == []
        machine.sh(f"systemctl stop {unit}")
        (told,) = machine.call(op="status")["idle"]
        assert told.startswith(f"{unit} (down since 20")
        assert told.endswith(": it was stopped); k8s4r.robot.provision starts it")
        machine.sh(f"rm {link}")
        assert machine.call(op="status")["idle"] == []
    finally:
        machine.sh(f"rm -f {place} {link}; systemctl daemon-reload")


def test_the_key_is_restored_from_its_copy(machine, group):
    running = pid(machine, group.unit("main"))
    for harm in HARM:
        do(machine, harm, f"{STATE}/key")
        answer = machine.prepare(job(group))
        assert (answer["status"], answer["notices"]) == ("recorded", [f"{STATE}/key was damaged, and was restored from its copy"])
        assert machine.ask(job(group), other()) == {"status": "unchanged"}
    assert pid(machine, group.unit("main")) == running


def test_a_key_without_its_copy_costs_a_restart(machine, group):
    do(machine, "truncated", f"{STATE}/key", f"{STATE}/key.copy")
    prepared = machine.prepare(job(group), other())
    assert prepared["status"] == "staged", prepared
    assert prepared["notices"][0].startswith(f"{STATE}/key and its copy were damaged")
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    assert machine.ask(job(group), other()) == {"status": "unchanged"}


@pytest.mark.parametrize("what", ["pending", "releases/{}.json"])
def test_an_interrupted_switch_is_rolled_back_all_the_same(machine, group, what):
    for harm in HARM:
        group.tasks["main"] = (SLEEP, "A=2")
        release = machine.prepare(job(group))["release"]
        assert drive(machine, release, kill_before="healthy") is None
        do(machine, harm, f"{STATE}/{what.format(release)}")
        assert machine.ask(other()) == {"status": "plan-needed"}
        drive(machine, release, recover=True)
        result = machine.call(op="poll", release=release)
        assert result["status"] == "rolled-back", (harm, result)
        group.tasks["main"] = (SLEEP, "A=1")
        machine.sh("while systemctl list-jobs --no-legend | grep -q k8s4r; do sleep 0.05; done")
        assert machine.ask(job(group), other()) == {"status": "unchanged"}


def test_the_engine_heals_at_once(machine, group):
    modules = ("plan/__init__", "plan/resources", "requests/main", "judge/unchanged")
    for module in ("__main__", *(f"k8s4r_engine/{name}" for name in modules)):
        for harm in HARM:
            do(machine, harm, f"{machine.engine}/{module}.py")
            answer = machine.ask(job(group))
            assert answer["status"] == "unchanged", (module, harm, answer)
        assert machine.ask(job(group)) == {"status": "unchanged"}


def test_the_engine_heals_from_what_only_its_units_run(machine, group):
    for harm in HARM:
        do(machine, harm, *(f"{machine.engine}/k8s4r_engine/{module}.py" for module in ("change/staging", "resources/file", "state/scrub")))
        answers = [machine.prepare(job(group), digest=harm) for _time in range(2)]
        assert answers[-1]["status"] == "recorded", (harm, answers)


def test_a_content_of_the_store_is_never_used_when_it_is_not_whole(machine, group):
    machine.sh(f"for file in {STATE}/store/*; do {HARM['truncated'].format('$file')}; done")
    group.tasks["main"] = ("/bin/false", "A=1")
    failed = machine.deploy(job(group))
    assert failed["status"] == "failed", failed
    assert f"{STATE}/store/" in failed["errors"][-1]
    group.tasks["main"] = (SLEEP, "A=1")
    assert machine.deploy(job(group), other())["status"] == "committed"
    assert machine.ask(job(group), other()) == {"status": "unchanged"}


def test_a_result_is_named_and_bars_nobody(machine, group):
    group.tasks["main"] = (SLEEP, "A=2")
    for harm in HARM:
        release = machine.prepare(job(group))["release"]
        do(machine, harm, f"/run/k8s4r/results/{release}.json")
        answer = machine.call(op="switch", release=release)
        assert answer["status"] in ("refused", "failed")
        assert release in answer["errors"][0]
    assert machine.deploy(job(group), other())["status"] == "committed"
