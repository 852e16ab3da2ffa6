# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the units of a group start, and what becomes of those that cannot."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.packing import PACKAGE
from tests.integration.engine.plans import SLEEP, Group, job

INIT = "k8s4r-init-web.service"


class Prepared(Group):
    """Three tasks that require an init unit, which leaves a line in a file whenever it runs."""

    def __init__(self, version: str, init: str) -> None:
        super().__init__()
        self.tasks = {name: (f"/bin/sh -c 'echo {version} {name} >>/run/ran; exec sleep infinity'", f"A={version}") for name in "abc"}
        content = f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo {version} init >>/run/ran; {init}'\n"
        self.more = [plan.unit(INIT, content, run="init")]

    def relations(self, task: str) -> str:
        return f"{super().relations(task)}\nRequires={INIT}\nAfter={INIT}"


@pytest.mark.parametrize("init", ["exit 4", "sleep 0.2; exit 4"], ids=["at once", "after a moment"])
def test_an_init_unit_that_fails_runs_once_and_no_task_starts_without_it(machine, init):
    machine.sh("rm -f /run/ran; touch /run/ran; chmod 666 /run/ran")
    good = job(Prepared("one", "true"))
    assert machine.deploy(good)["status"] == "committed"
    done = machine.deploy(job(Prepared("two", init)))
    assert done["status"] == "rolled-back", done
    ran = machine.sh("cat /run/ran").splitlines()
    assert [line for line in ran if line.startswith("two")] == ["two init"]
    # After its init unit, every task of the last good release runs again.
    again = ran[ran.index("two init") + 1 :]
    assert (again[0], sorted(again[1:])) == ("one init", ["one a", "one b", "one c"])
    assert machine.ask(good) == {"status": "unchanged"}


def seconds(machine, unit, moment):
    """A time that systemd has of a unit, of the robot's monotonic clock."""
    return int(machine.sh(f"systemctl show -p {moment}TimestampMonotonic --value {unit}")) / 1e6


def tries(machine, unit, since):
    """When the unit's program ended, since a time, by the same clock."""
    lines = machine.sh(f"journalctl --sync; journalctl -b -o short-monotonic -u {unit} | grep 'Main process exited'").splitlines()
    return [moment for moment in (float(line.split("]")[0].strip("[ ")) for line in lines) if moment > since]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/var/lib/none", "its program was not started, exit status 203: it cannot be executed"),
        ("/bin/sh -c 'exec /var/lib/none'", "its program ended with exit status 127: it, or one that it starts, was not found"),
    ],
    ids=["203", "127"],
)
def test_what_can_never_start_is_given_up_at_once(machine, command, words):
    """The last good release is back long before the next try. On an idle machine 0.6 s after the first one."""
    group = Group()
    group.extra = "RestartSec=60"
    group.tasks["other"] = (SLEEP, "B=1")
    machine.deploy(job(group))
    good = seconds(machine, group.unit("main"), "ActiveEnter")
    group.tasks["main"] = (command, "A=2")
    done = machine.deploy(job(group))
    assert done["status"] == "rolled-back", done
    assert done["errors"][0].startswith(f"web: {group.unit('main')}: {words}; its last lines:")
    # The reason is said once.
    assert done["errors"][0].count("No such file") + done["errors"][0].count("not found") == 1 + ("not found" in words), done["errors"]
    (tried,) = tries(machine, group.unit("main"), good)
    assert seconds(machine, group.unit("main"), "ActiveEnter") - tried < 30


def test_a_service_that_ends_with_0_at_once_is_not_waited_for(machine):
    """Its second end is enough: it lacks nothing that might come up later."""
    group = Group()
    # Whoever looks late would see one more start.
    group.extra = "RestartSec=10"
    group.tasks["main"] = ("/bin/true", "A=1")
    done = machine.deploy(job(group))
    said = f"web: {group.unit('main')}: its program ended by itself with 0, 2 times; a service must stay in the foreground"
    assert (done["status"], done["errors"][0]) == ("rolled-back", said), done


def test_what_is_said_of_a_unit_by_a_process_that_the_journal_no_longer_knew_is_found(machine):
    """On a busy robot that is every fourth that cannot be executed. Nobody but root and the unit's user is believed."""
    group = Group()
    machine.deploy(job(group))
    unit = group.unit("main")
    say = f"printf 'UNIT={unit}\\nMESSAGE=%s\\n' {{}} | {{}}logger --journald"
    machine.sh(say.format("by-root", ""))
    machine.sh(say.format("by-nobody", "setpriv --reuid=65534 --clear-groups "))
    said = machine.script(f"from {PACKAGE}.system import systemd\nprint(systemd.last_words({unit!r}, 0.0))").stdout
    assert "by-root" in said
    assert "by-nobody" not in said


class FirstLast(Group):
    """The task `first` begins when the others have, of which one fails a moment later: after the first failure not much is waited for."""

    def relations(self, task: str) -> str:
        others = " ".join(self.unit(each) for each in ("again", "later", "quits"))
        return super().relations(task) + (f"\nAfter={others}" if task == "first" else "")


def test_every_unit_that_failed_gives_its_reason(machine):
    """Also one that is tried again, and one that fails a moment later. Beside them, who waited for another is not mentioned."""
    group = FirstLast()
    group.tasks = {
        "first": ("/var/lib/none", "A=1"),
        "again": ("/bin/sh -c 'echo no camera; exit 3'", "A=1"),
        "later": ("/bin/sh -c 'echo no memory; sleep 0.2; exit 127'", "A=1"),
        "quits": ("/bin/true", "A=1"),
        "good": (SLEEP, "A=1"),
    }
    found = dict(text.split(": ", 2)[1:] for text in machine.deploy(job(group))["errors"])
    assert found.keys() == {group.unit(task) for task in ("first", "again", "later", "quits")}
    assert found[group.unit("again")].startswith("its program ended with exit status 3")
    assert "; its last lines:\n    no camera" in found[group.unit("again")]
    assert "exit status 127: it, or one that it starts, was not found" in found[group.unit("later")]
    assert "; its last lines:\n    no memory" in found[group.unit("later")]
    assert "its program ended by itself with 0" in found[group.unit("quits")]
