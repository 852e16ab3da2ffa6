# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing goes before what replaces it works: groups that are renamed, dropped, or hand a port over."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from tests.integration.engine.interrupted import drive, taken
from tests.integration.engine.plans import SLEEP, Group, job

FAIL = ("/bin/sh -c 'exit 7'", "A=1")


def listener(name, *ports):
    """A group that listens on ports and takes them in when it starts."""
    group = Group(name)
    listen = "; ".join(f"l{port} = socket.create_server(('127.0.0.1', {port}))" for port in ports)
    group.tasks["main"] = (f'/usr/bin/python3 -c "import socket, time; {listen}; time.sleep(3600)"', f"PORTS={'-'.join(map(str, ports))}")
    group.ports = [plan.port("127.0.0.1", port, f"{name}.{port}") for port in ports]
    return group


def precious(machine, group):
    machine.sh(f"echo precious > {group.data('main')}/file")
    return f"cat {group.data('main')}/file"


def listens_as(machine, group, *ports):
    """Wait until a group's task listens, and hold it to these ports."""
    found = f"ss -Hltnp | grep 'pid='$(systemctl show -p MainPID --value {group.unit('main')}), | awk '{{print $4}}' | sed 's/.*://' | sort"
    machine.until(f"[ $({found} | wc -l) -ge {len(ports)} ]")
    assert [int(port) for port in machine.sh(found).split()] == sorted(ports)


@pytest.mark.parametrize("new", [Group("new"), listener("new", 5441)], ids=["no port", "the same port"])
def test_a_renamed_group_that_does_not_start_leaves_the_old_one_and_its_data(machine, new):
    old = listener("old", 5441)
    machine.deploy(job(old))
    content = precious(machine, old)
    works = new.tasks["main"]
    new.tasks["more"] = FAIL
    done = machine.deploy(job(new))
    assert (done["status"], done["restored"]) == ("rolled-back", ["old"]), done
    assert done["groups"] == {"old": "rolled-back", "new": "rolled-back"}
    assert machine.ask(job(old)) == {"status": "unchanged"}
    assert machine.sh(content).strip() == "precious"
    listens_as(machine, old, 5441)
    machine.absent(f"id {new.user} || test -e {new.data('main')}")
    new.tasks = {"main": works}
    assert machine.deploy(job(new))["status"] == "committed"
    machine.absent(f"id {old.user} || test -e {old.data('main')}")


def test_of_several_jobs_each_says_whether_it_stayed(machine):
    fails, new, well = Group("fails"), Group("new"), Group("well")
    machine.deploy(job(fails, name="a"), job(well, name="c"))
    for group in (fails, new):
        group.tasks["main"] = FAIL
    well.tasks["main"] = (SLEEP, "A=2")
    done = machine.deploy(job(fails, name="a"), job(new, name="b"), job(well, name="c"))
    assert [done[word] for word in ("status", "restored", "undone", "committed")] == ["rolled-back", ["fails"], ["new"], ["well"]], done


def test_a_dropped_group_runs_on_where_another_one_of_its_job_does_not_start(machine):
    kept, dropped = Group("kept"), Group("dropped")
    machine.deploy(job(kept, dropped))
    content = precious(machine, dropped)
    kept.tasks["main"] = FAIL
    prepared = machine.prepare(job(kept))
    assert prepared["goes"]["dropped"]["name"] == "dropped"
    assert prepared["goes"]["dropped"]["data"] > 0
    done = machine.finish(machine.call(op="switch", release=prepared["release"]))
    assert done["groups"] == {"kept": "rolled-back", "dropped": "rolled-back"}, done
    assert machine.state(dropped.unit("main")) == "active"
    assert machine.sh(content).strip() == "precious"


def test_a_group_that_goes_stops_before_what_replaces_it_starts(machine):
    """Both use something that no plan names."""
    # No program has to give it up: systemd signals until it finds no process that is new, and would hit that one as well.
    use = "/bin/sh -c 'exec 9</run/lock/the-device; flock -n 9 || exit 9; while :; do sleep 0.1; done'"
    old, new = Group("old"), Group("new")
    for group in (old, new):
        group.tasks["main"] = (use, "A=1")
    machine.sh("touch /run/lock/the-device")
    try:
        assert machine.deploy(job(old))["status"] == "committed"
        assert machine.deploy(job(new))["status"] == "committed"
    finally:
        machine.sh("systemctl stop k8s4r-task-old-main k8s4r-task-new-main 2>/dev/null; rm -rf /run/lock/the-device")


def test_ports_that_groups_swap(machine):
    one, two = listener("one", 5441), listener("two", 5442)
    machine.deploy(job(one, two))
    one, two = listener("one", 5442), listener("two", 5441)
    prepared = machine.prepare(job(one, two))
    assert prepared["status"] == "staged", prepared
    assert [text for text in prepared["steps"] if "change hands" in text] == [
        f"stop {group.unit('main')} while ports change hands" for group in (one, two)
    ]
    done = machine.finish(machine.call(op="switch", release=prepared["release"]))
    assert done["status"] == "committed", done
    listens_as(machine, one, 5442)
    listens_as(machine, two, 5441)


def test_a_swap_that_fails_is_taken_back_by_both(machine):
    one, two = listener("one", 5441), listener("two", 5442)
    good = job(one, two)
    machine.deploy(good)
    new, bad = listener("one", 5442), listener("two", 5441)
    bad.tasks["more"] = FAIL
    done = machine.deploy(job(new, bad))
    assert done["groups"] == {"one": "rolled-back", "two": "rolled-back"}, done
    listens_as(machine, one, 5441)
    listens_as(machine, two, 5442)
    assert machine.ask(good) == {"status": "unchanged"}


def test_a_port_that_another_job_of_the_run_gives_up(machine):
    giver, taker = listener("giver", 5441), Group("taker")
    machine.deploy(job(giver), job(taker, name="other"))
    giver, taker = listener("giver", 5443), listener("taker", 5441)
    assert machine.deploy(job(taker, name="other"), job(giver))["status"] == "committed"
    listens_as(machine, giver, 5443)
    listens_as(machine, taker, 5441)


def test_a_port_that_a_task_of_this_job_holds_without_a_word_is_not_free(machine):
    holder, taker = listener("holder", 5441), Group("taker")
    holder.ports = []
    machine.deploy(job(holder, taker))
    listens_as(machine, holder, 5441)
    refused = machine.prepare(job(holder, listener("taker", 5441)))
    assert refused["status"] == "refused"
    assert holder.unit("main") in refused["errors"][0]


def test_what_moves_away_runs_on_until_it_is_given_up(machine):
    """A group that goes, and a task of one that stays; also over a boot."""
    stays, goes = Group("stays"), Group("goes")
    stays.tasks["moves"] = (SLEEP, "M=1")
    machine.deploy(job(stays, goes))
    del stays.tasks["moves"]
    moving = f"k8s4r-task-{stays.id}-moves.service"
    prepared = machine.prepare(job(stays))
    assert set(prepared["goes"]) == {"stays", "goes"}
    assert (prepared["goes"]["stays"]["whole"], prepared["goes"]["goes"]["whole"]) == (False, True)
    done = machine.finish(machine.call(op="switch", release=prepared["release"], spare=["stays", "goes"]))
    assert (done["status"], done["groups"]) == ("committed", {"goes": "stays", "stays": "committed"})
    for unit in (moving, goes.unit("main")):
        assert machine.state(unit) == "active"
    assert machine.sh(f"systemctl show -p WantedBy --value {moving}").strip() == stays.target
    machine.sh(f"systemctl stop {moving} {goes.unit('main')}")
    again = machine.prepare(job(stays))["release"]
    done = machine.finish(machine.call(op="switch", release=again, spare=["stays", "goes"]))
    for unit in (moving, goes.unit("main")):
        machine.until(f"systemctl is-active --quiet {unit}")
        assert [text.partition(" (")[0] for text in done["changes"]].count(f"start {unit}") == 1, done["changes"]
    assert machine.ask(job(stays)) == {"status": "plan-needed"}
    assert machine.ask(job(stays), keep_data=True) == {"status": "plan-needed"}
    assert machine.deploy(job(stays))["status"] == "committed"
    assert (machine.state(moving), machine.state(goes.unit("main"))) == ("inactive", "inactive")
    machine.absent(f"id {goes.user} || test -e /etc/systemd/system/{moving} || test -e /etc/systemd/system/{stays.target}.wants")
    assert machine.ask(job(stays)) == {"status": "unchanged"}


@pytest.mark.parametrize("killed", [None, "start", "commit", "remove", "unload"])
def test_what_is_to_move_away_and_loses_its_port_stays_in_its_files_alone(machine, killed):
    """Also over a boot, and where the switch was killed: what has been written down of it is finished, and all else goes back."""
    old, new = listener("old", 5443), listener("new", 5443)
    machine.deploy(job(old))
    content = precious(machine, old)
    release = machine.prepare(job(new))["release"]
    if killed:
        assert drive(machine, release, killed, spare=["old"]) is None
    else:
        assert machine.finish(machine.call(op="switch", release=release, spare=["old"]))["status"] == "committed"
    machine.fleet.power_cut(machine.name)
    machine.fleet.start(machine.name)
    machine.fleet.wait_ssh(machine.name)
    assert machine.sh("systemctl is-system-running --wait").strip() == "running"
    runs, rests = (old, new) if killed == "start" else (new, old)
    listens_as(machine, runs, 5443)
    assert machine.state(rests.unit("main")) == "inactive"
    assert machine.sh(content).strip() == "precious"
    assert machine.deploy(job(new))["status"] == "committed"
    assert_runs(machine, job(new))


def test_what_stays_is_a_part_of_what_the_group_should_run(machine):
    """It is watched and started like the rest, but a run does not fail because of it; and it need not restart to be wanted again."""
    works, both, one = "/run/moves-works", Group("web"), Group("web")
    both.tasks["moves"] = (f"/bin/sh -c 'test -e {works} || exit 7; exec sleep infinity'", "M=1")
    moving = both.unit("moves")
    both.ports = [plan.port("127.0.0.1", 5444, "web.5444", called="r1 http"), plan.port("127.0.0.1", 5445, "web.5445", unit=moving)]

    def stay():
        done = machine.finish(machine.call(op="switch", release=machine.prepare(job(one))["release"], spare=["web"]))
        assert done["status"] == "committed", done

    def status():
        (group,) = machine.call(op="status", sample=0)["jobs"][0]["groups"].values()
        return group

    def words():
        return [status()["units"][moving][word] for word in ("well", "leaving", "state")]

    machine.sh(f"touch {works}")
    machine.deploy(job(both))
    assert words() == [True, False, "active"]
    began = machine.sh(f"systemctl show -p ActiveEnterTimestampMonotonic {moving}")
    stay()
    assert words() == [True, True, "active"]
    assert [port["port"] for port in status()["ports"]] == [5445]
    assert machine.sh(f"systemctl show -p WantedBy --value {moving}").strip() == both.target
    machine.deploy(job(both))
    assert machine.sh(f"systemctl show -p ActiveEnterTimestampMonotonic {moving}") == began
    assert words() == [True, False, "active"]
    machine.absent(f"test -e /etc/systemd/system/{both.target}.wants")
    for _again in range(2):
        stay()
        machine.sh(f"systemctl stop {moving}")
        assert words() == [False, True, "inactive"]
    stay()
    machine.until(f"systemctl is-active --quiet {moving}")
    machine.sh(f"rm {works}; systemctl stop {moving}")
    stay()
    assert machine.deploy(job(one))["status"] == "committed"
    machine.absent(f"test -e /etc/systemd/system/{both.target}.wants || test -e /etc/systemd/system/{moving}")
    assert machine.ask(job(one)) == {"status": "unchanged"}


def test_a_boot_before_a_renamed_group_is_removed(machine):
    """Its units are enabled still."""
    old, new = listener("old", 5443), listener("new", 5443)
    machine.deploy(job(old))
    release = machine.prepare(job(new))["release"]
    assert drive(machine, release, kill_before="remove") is None
    machine.fleet.power_cut(machine.name)
    machine.fleet.start(machine.name)
    machine.fleet.wait_ssh(machine.name)
    assert_runs(machine, job(new))
    assert machine.sh("systemctl is-system-running --wait").strip() == "running"


def versions():
    """A job of which one group is renamed, one dropped and added, and two swap their ports; all of it forward or back together."""
    before = job(listener("one", 5441), listener("two", 5442), listener("old", 5443))
    after = job(listener("one", 5442), listener("two", 5441), listener("new", 5443))
    return before, after


def assert_runs(machine, wanted):
    """All of one version, and nothing of the other."""
    groups = {group["id"]: [port["port"] for port in group["ports"]] for group in wanted["groups"]}
    for id, ports in groups.items():
        listens_as(machine, Group(id), *ports)
    for gone in {"old", "new"} - groups.keys():
        machine.absent(f"id k8s4r-{gone} || test -e {Group(gone).data('main')} || test -e /etc/k8s4r/groups/{gone}")
    assert machine.ask(wanted) == {"status": "unchanged"}


def turns(verbs):
    """The numbers of the first step of each turn, and of the second commit: each of them writes its own group down."""
    first = [number for number, verb in enumerate(verbs) if number == 0 or verbs[number - 1] != verb]
    return sorted([*first, verbs.index("commit") + 1])


@pytest.fixture
def points(machine):
    """Where a switch from one version to the other is killed."""
    before, after = versions()
    machine.deploy(before)
    points = turns(taken(machine, machine.prepare(after)["release"]))
    machine.deploy(before)
    return points


def test_killed_in_every_turn_and_gone_back_at_boot(machine, points):
    source, target = versions()
    outcomes = set()
    for point in points:
        release = machine.prepare(target)["release"]
        assert drive(machine, release, kill_before=point) is None
        drive(machine, release, recover=True)
        machine.sh("while systemctl list-jobs --no-legend | grep -q k8s4r; do sleep 0.05; done")
        outcome = machine.call(op="poll", release=release)["status"]
        outcomes.add(outcome)
        source, target = (target, source) if outcome == "committed" else (source, target)
        assert_runs(machine, source)
    assert outcomes == {"rolled-back", "committed"}


def test_killed_in_every_turn_and_resumed(machine, points):
    source, target = versions()
    for point in points:
        release = machine.prepare(target)["release"]
        assert drive(machine, release, kill_before=point) is None
        assert drive(machine, release) is not None
        outcome = machine.call(op="poll", release=release)
        assert outcome["status"] == "committed", outcome
        assert_runs(machine, target)
        source, target = target, source
