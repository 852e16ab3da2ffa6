# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes, and process IDs, on the oldest systemd and the newest."""

from __future__ import annotations

import json

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell, without_groups

machine = each_of(ENDS)

DRIVERS = ("exec", "raw_exec")

PREPARE = """
rm -rf "/srv/a pläce\u2028x" /srv/maps /srv/one; mkdir -p "/srv/a pläce\u2028x" /srv/maps; chmod 1777 "/srv/a pläce\u2028x" /srv/maps
echo north >/srv/maps/names; echo one >/srv/one; chmod 666 /srv/one
"""

LOOK = """
cat /maps/names "/opt/of the röbot/one" >$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.read || exit 1
echo x >/maps/written && echo maps >>$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.written
echo $NOMAD_TASK_NAME >>"/srv/a pläce\u2028x/written" && echo place >>$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.written
: >$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.done
exec sleep 1000
"""
VOLUMES = [
    {"source": "/srv/maps", "target": "/maps", "readOnly": True},
    {"source": "/srv/one", "target": "/opt/of the röbot/one", "readOnly": True},
    {"source": "/srv/a pläce\u2028x", "target": "/srv/a pläce\u2028x"},
]


def test_a_task_uses_its_volumes_and_changes_only_those_that_it_may(machine):
    machine.sh(PREPARE)
    tasks = [shell(driver.replace("_", ""), LOOK, driver=driver, volumes=VOLUMES) for driver in DRIVERS]
    (plan,) = plans(machine, {"name": "places", "taskGroups": [{"name": "g", "tasks": tasks}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    alloc = machine.sh("echo /var/lib/k8s4r/groups/places-g-*/alloc").strip()
    for driver in DRIVERS:
        note = f"{alloc}/{driver.replace('_', '')}"
        machine.until(f"test -e {note}.done")
        assert machine.sh(f"cat {note}.read").split() == ["north", "one"]
        assert machine.sh(f"cat {note}.written").split() == ["place"]
    assert set(machine.sh('cat "/srv/a pläce\u2028x/written"').split()) == {"exec", "rawexec"}
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    # What was the robot's stays.
    machine.sh('test -s /srv/maps/names && test -s "/srv/a pläce\u2028x/written"')


def test_a_volume_that_is_not_there_is_said_before_anything_changes(machine):
    task = shell("a", "exec sleep 1000", volumes=[{"source": "/srv/nowhere", "target": "/x"}])
    (plan,) = plans(machine, {"name": "places", "taskGroups": [{"name": "g", "tasks": [task]}]})
    result = machine.prepare(plan)
    said = "places.yml: taskGroups[0].tasks[0].volumes[0].source: this robot has no /srv/nowhere; create it, or name another"
    assert (result["status"], result["errors"]) == ("refused", [said])


@pytest.mark.parametrize("init", [False, True], ids=["alone", "after-an-init-task"])
def test_a_volume_that_a_task_could_put_elsewhere_is_refused(machine, init):
    """systemd follows links, and mounts as root; an init task may make what is not there, and makes nothing of this safe."""
    machine.sh("rm -rf /srv/open /srv/link; mkdir -p /srv/open/in; chmod 777 /srv/open; ln -s /etc /srv/link")
    places = (("/srv/open/in", "/x"), ("/srv/link", "/y"), ("/media", "/srv/open/in"))
    tasks = [shell(f"t{number}", "exec sleep 1000", volumes=[{"source": a, "target": b}]) for number, (a, b) in enumerate(places)]
    inits = {"initTasks": [shell("prepare", "true")]} if init else {}
    (plan,) = plans(machine, {"name": "places", "taskGroups": [{"name": "g", "tasks": tasks, **inits}]})
    result = machine.prepare(plan)
    assert result["status"] == "refused"
    said = sorted(text.partition("tasks[")[2] for text in result["errors"])
    changed = "/srv/open can be changed by others than root, who could put a link into it; name /srv/open itself, or another place"
    assert said == [
        f"0].volumes[0].source: {changed}",
        "1].volumes[0].source: /srv/link is a link; name what it leads to",
        f"2].volumes[0].target: {changed}",
    ]


@pytest.mark.parametrize("pid", ["own", "host"])
def test_process_ids_are_the_tasks_own_or_the_robots(machine, pid):
    """Two programs that take their process ID for an identity, as DDS does, must not be one and the same."""
    script = """exec python3 -I -S -c '
import json, os, pathlib, time
seen = sorted({os.stat(f"/proc/{name}").st_uid for name in os.listdir("/proc") if name.isdigit()})
path = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"], os.environ["NOMAD_TASK_NAME"])
path.with_suffix(".part").write_text(json.dumps({"pid": os.getpid(), "users": seen, "me": os.getuid()}))
path.with_suffix(".part").rename(path.with_suffix(".json"))
time.sleep(1000)'"""
    tasks = [shell(name, script, isolation={"pid": pid}) for name in ("one", "two")]
    (plan,) = plans(machine, {"name": "places", "taskGroups": [{"name": "g", "tasks": tasks}]})
    assert machine.deploy(plan)["status"] == "committed"
    alloc = machine.sh("echo /var/lib/k8s4r/groups/places-g-*/alloc").strip()
    machine.until(f"test -e {alloc}/one.json -a -e {alloc}/two.json")
    one, two = (json.loads(machine.sh(f"cat {alloc}/{name}.json")) for name in ("one", "two"))
    assert (one["pid"] == two["pid"]) == (pid == "own")
    # Of other users' processes it sees none; in a namespace of its own, the shell that is the first process is its own.
    assert one["users"] == [one["me"]]
