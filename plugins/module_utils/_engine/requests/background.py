# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives the connection: a transient unit, and its result in a file.

The unit is started again when the engine is killed, and the work goes on from what it finds.
"""

from __future__ import annotations

import os
import sys
import time

from ..say.answers import failed
from ..state import jsonfile
from ..system import command
from ..system.paths import engine_home

# An answer must come within 5 s: a task that waits longer cannot tell a slow robot from a dead link. Counted from the
# engine's start, for on a slow robot it takes seconds to start the work.
PATIENCE = 4.0
INTERVAL = 0.03


def new_release():
    """A name that sorts by time and meets no other."""
    return "{}-{}".format(time.strftime("%Y%m%dT%H%M%S", time.gmtime()), os.urandom(4).hex())


def unit(operation, release):
    return f"k8s4r-{operation}-{release}.service"


def start(robot, operation, release, request):
    """Start ``prepare`` or ``switch`` in its unit; the result if it comes soon, else ``pending``."""
    robot.make()
    jsonfile.save(robot.request_path(release), dict(request, op=operation, release=release))
    jsonfile.save(robot.result_path(release), {"status": "pending", "op": operation, "progress": "starting"})
    command.need(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            "--unit",
            unit(operation, release),
            "--description",
            f"k8s4r: {operation} of release {release}",
            "-p",
            "Restart=on-failure",
            "-p",
            "RestartSec=1",
            "-p",
            "TimeoutStopSec=20",
            sys.executable,
            "-I",
            "-S",
            engine_home(),
            "work",
            release,
        ],
        timeout=30,
    )
    return wait(robot, release)


def wait(robot, release, patience=PATIENCE):
    """The result of a release's work, or ``pending`` with how far it is."""
    deadline = robot.began + patience
    while True:
        result = jsonfile.load(robot.result_path(release))
        if result is None:
            return {"status": "failed", "errors": [f"nothing is known of release {release} on this robot: run again"]}
        if result["status"] != "pending":
            return dict(result, release=result.get("release", release))
        if time.monotonic() >= deadline:
            return _pending(robot, release, result)
        time.sleep(INTERVAL)


def _pending(robot, release, result):
    """Still at work; unless its unit has ended, beyond what starting it again could mend."""
    name = unit(result["op"], release)
    state = command.run(["systemctl", "is-active", name])[1].strip()
    if state in ("active", "activating", "reloading", "deactivating"):
        return {"status": "pending", "release": release, "progress": result["progress"]}
    again = jsonfile.load(robot.result_path(release))
    if again and again["status"] != "pending":
        return dict(again, release=again.get("release", release))
    text = f"{name} ended without a result ({state}); the next run mends what it left. See: journalctl -u {name}"
    return {"status": "failed", "release": release, "errors": [text]}


def work(robot, release):
    """In the unit: do what the request says and leave the result."""
    request = jsonfile.load(robot.request_path(release))
    result = jsonfile.load(robot.result_path(release))
    if request is None or result is None or result["status"] != "pending":
        # Killed between the result and the end.
        _clear(robot, release, request)
        return
    operation = request["op"]

    def progress(text):
        jsonfile.save(robot.result_path(release), {"status": "pending", "op": operation, "progress": text})

    try:
        result = _OPERATIONS[operation](robot, request, progress)
    except Exception as error:
        result = failed(error)
    jsonfile.save(robot.result_path(release), dict(result, op=operation))
    _clear(robot, release, None)


def _clear(robot, release, request):
    if request and request["op"] == "switch":
        from ..change import switch

        switch.clear(robot, release)
    jsonfile.remove(robot.request_path(release))


def _prepare(robot, request, progress):
    from ..change import staging

    progress("checking the plan")
    return staging.stage(robot, request, request["release"])


def _switch(robot, request, progress):
    from ..change import switch

    return switch.run(robot, request["release"], progress)


_OPERATIONS = {"prepare": _prepare, "switch": _switch}
