# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives the connection: a transient unit, and its result in a file.

systemd starts the unit again if the engine is killed, and the work goes on from what it finds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time

from ..say.answers import failed, is_internal
from ..say.errors import CommandFailed, Refusal
from ..state import formats, results
from ..system import own, reserve, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..say.answers import Answer
    from ..state.manifest import PrepareRequest
    from ..state.results import Operation, Result
    from ..state.robot import Robot

    class Work(PrepareRequest, total=False):
        """What a unit is to do: what ``prepare`` is asked, or which groups a switch spares and which files it holds (switch.py)."""

        op: Operation
        spare: list[str]
        hold: list[str]


# Seconds. An answer must come within 5 s: a task that waits longer cannot tell a slow robot from a dead link. Counted from
# the engine's start, for on a slow robot it takes seconds to start the work.
ANSWER_WITHIN = 4.0
INTERVAL = 0.03
# Seconds, for which a result is kept back because its work is not at its end.
CLEANING = 30.0


def start(robot: Robot, operation: Operation, release: str, request: t.Mapping[str, t.Any]) -> Answer:
    """Start ``prepare`` or ``switch`` in its unit; the result if it comes soon, else ``pending``."""
    robot.make()
    requests = _requests(robot, fcntl.LOCK_SH)
    try:
        formats.save(robot.request_path(release), {**request, "op": operation, "mended": robot.mended})
        results.Result(robot, release, operation).progress("starting")
        if not _start_unit(robot, operation, release):
            # As long as the lock is held, nobody takes it for work that nothing does any more.
            work(robot, release)
    except BaseException:
        # Nothing would ever take it away, and it may hold secrets.
        formats.remove(robot.request_path(release))
        raise
    finally:
        os.close(requests)
    return wait(robot, release)


def _requests(robot: Robot, lock: int) -> int:
    """The opened directory of requests, locked: shared by those who leave one there until its unit runs. Raises `BlockingIOError`."""
    directory = os.open(robot.runtime + "/requests", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, lock)
    except BaseException:
        os.close(directory)
        raise
    return directory


def sweep(robot: Robot) -> None:
    """Remove requests that no unit works on, and none will: they may hold a plan, and secrets."""
    try:
        directory = _requests(robot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        for name in os.listdir(directory):
            release = name.partition(".json")[0]
            if name.startswith(".") or not any(_at_work(own.worker(operation, release)) for operation in _OPERATIONS):
                # A unit that ends removes its own.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)


def _at_work(unit: str) -> bool:
    return systemd.state(unit) in ("active", "activating", "reloading", "deactivating", systemd.NO_ANSWER)


def _start_unit(robot: Robot, operation: Operation, release: str) -> bool:
    """Whether a unit does the work: asking twice does no harm, the second one finds no request any more. systemd starts none where a
    program takes every free byte of /run, and that program must be removable: then the work is done here, at the risk of the connection.
    """
    properties = [f"Description=k8s4r: {operation} of release {release}", "Restart=on-failure", "RestartSec=1", "TimeoutStopSec=20"]
    argv = [sys.executable, "-I", "-S", own.engine_home(), "work", release]
    while True:
        freed = reserve.make_room(robot.runtime)
        try:
            systemd.run_in_unit(own.worker(operation, release), properties, argv)
            return True
        except CommandFailed:
            if not reserve.is_short(robot.runtime):
                raise
            if not freed:
                return False


def wait(robot: Robot, release: str, patience: float = ANSWER_WITHIN) -> Answer:
    """The result of a release's work, or ``pending`` with how far it is.

    The result is written while the work still has the lock; its request is there until all of it has ended. So a caller
    that has the result is not refused, when it asks for something else, because of the lock. (A request that nobody works on any more
    does not keep the result back.)
    """
    deadline = robot.began + patience
    while True:
        result = results.load(robot, release)
        if result is None:
            return {"status": "failed", "errors": [f"this robot has no record of release {release}; run again"]}
        known = result["status"] != results.PENDING
        if known and not os.path.exists(robot.request_path(release)):
            return result
        if time.monotonic() >= deadline:
            if not known:
                return _pending(robot, release, result)
            if not (_is_fresh(robot, release) and _at_work(own.worker(result["op"], release))):
                return result
            return {"status": results.PENDING, "release": release, "op": result["op"], "progress": "cleaning up"}
        time.sleep(INTERVAL)


def _is_fresh(robot: Robot, release: str) -> bool:
    """Whether a result has only just been written: what comes after it may fail again and again."""
    return abs(time.time() - os.stat(robot.result_path(release)).st_mtime) < CLEANING


def _pending(robot: Robot, release: str, result: Answer) -> Answer:
    """Still at work; unless its unit has ended, beyond what starting it again could repair."""
    try:
        requests = _requests(robot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Somebody has just asked for it, and is about to start it.
        return result
    try:
        name = own.worker(result["op"], release)
        if _at_work(name):
            return result
        again = results.load(robot, release)
        if again and again["status"] != results.PENDING:
            return again
        # It may hold secrets.
        formats.remove(robot.request_path(release))
    finally:
        os.close(requests)
    text = f"{name} ended without a result; the next run repairs what it left. See: journalctl -u {name}"
    return {"status": "failed", "release": release, "errors": [text]}


def work(robot: Robot, release: str) -> None:
    """In the unit: do what was requested and leave the result."""
    known = results.load(robot, release)
    if known is None or not os.path.exists(robot.request_path(release)):
        return
    if known["status"] == results.PENDING:
        result = results.Result(robot, release, known["op"])
        try:
            request: Work = formats.load(robot.request_path(release), "request")
            _OPERATIONS[known["op"]](robot, request, release, result)
        except Exception as error:
            from ..judge import room

            if is_internal(error) and own.is_damaged():
                own.retire()
                error = Refusal([own.DAMAGED])
            answer = failed(error)
            if results.ended(robot, release, known["op"]):
                # Whatever went wrong behind it, that is what was reached.
                sys.stderr.write("".join([f"{text}\n" for text in answer["errors"]]))
            else:
                result.end({**answer, "errors": [*answer["errors"], *room.explained(robot, error)], "release": release})
    elif known["op"] == "switch":
        # Killed between the result and the end.
        from ..change import conclusion

        conclusion.clear(robot, release)
    formats.remove(robot.request_path(release))


def _prepare(robot: Robot, request: Work, release: str, result: Result) -> None:
    from ..change import staging

    result.progress("checking the plan")
    result.end(staging.stage(robot, request, release, result.progress))


def _switch(robot: Robot, request: Work, release: str, result: Result) -> None:
    from ..change import switch

    # It ends its result itself: before the journal goes, and while no other run can be here.
    switch.run(robot, release, result.progress, spare=request.get("spare") or [], hold=request.get("hold") or [])


_OPERATIONS: t.Mapping[str, t.Callable[[Robot, Work, str, Result], None]] = {"prepare": _prepare, "switch": _switch}
