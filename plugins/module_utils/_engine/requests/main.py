# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine starts: a request on standard input, an answer after a marker on standard output.

An unchanged deploy waits for this file and all that it imports, so what only some requests need is imported by them.
"""

from __future__ import annotations

import os
import sys

from ..plan import MARKER, MISSING
from ..say import jsontext
from ..state.robot import Robot

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..say.answers import Answer

    Request = t.Any


class Damaged(Exception):
    """The engine's own files are."""


def _prepare(robot: Robot, request: Request) -> Answer:
    from . import prepare

    return prepare.answer(robot, request)


def _switch(robot: Robot, request: Request) -> Answer:
    from . import background

    # If the first answer was lost, the switch may be running already.
    known = background.wait(robot, request["release"], patience=0)
    if known["status"] != "staged":
        return known
    return background.start(robot, "switch", request["release"], {"spare": request.get("spare") or [], "hold": request.get("hold") or []})


def _poll(robot: Robot, request: Request) -> Answer:
    from . import background

    return background.wait(robot, request["release"])


def _probe(robot: Robot, _request: Request) -> Answer:
    from ..mesh import known
    from ..system import capabilities

    return {"status": "ok", "capabilities": capabilities.probe(robot.runtime), "mesh": known.of(robot)}


def _tell(robot: Robot, request: Request) -> Answer:
    from . import tell

    return tell.answer(robot, request)


def _status(robot: Robot, _request: Request) -> Answer:
    from . import status

    return status.answer(robot)


def _info(robot: Robot, request: Request) -> Answer:
    from . import info

    return info.answer(robot, **{key: value for key, value in request.items() if key != "op"})


def _textfile(robot: Robot, request: Request) -> Answer:
    from . import textfile

    return textfile.answer(robot, request["directory"], request["check"])


def _ended(robot: Robot, request: Request) -> Answer:
    from . import ended

    return ended.answer(robot, request["jobs"])


def _held(robot: Robot, request: Request) -> Answer:
    from . import held

    return held.answer(robot, request["jobs"])


def _take(robot: Robot, request: Request) -> Answer:
    from . import take

    # It is behind the line of the request.
    return take.answer(robot, request, sys.stdin.buffer.read())


def _recover(robot: Robot, _request: Request) -> Answer:
    from . import recover

    return recover.at_boot(robot)


def _work(robot: Robot, request: Request) -> Answer:
    from . import background

    background.work(robot, request["about"])
    return {"status": "ok"}


def _write_textfile(robot: Robot, request: Request) -> Answer:
    from . import textfile

    return textfile.write(robot, request["about"])


OPERATIONS: t.Mapping[str, t.Callable[[Robot, Request], Answer]] = {
    "prepare": _prepare,
    "switch": _switch,
    "poll": _poll,
    "tell": _tell,
    "probe": _probe,
    "status": _status,
    "info": _info,
    "textfile": _textfile,
    "ended": _ended,
    "held": _held,
    "take": _take,
    "recover": _recover,
}


# What the engine's own units ask for, as an argument.
IN_UNITS: t.Mapping[str, t.Callable[[Robot, Request], Answer]] = {
    "recover": _recover,
    "work": _work,
    "textfile": _write_textfile,
}


def main(robot: Robot | None = None) -> int:
    """The exit status: 0 whenever there is an answer, whatever it is; in a unit, which writes into the journal, 0 only if all went well."""
    # The shell that ran the engine may have another one; every mode here is meant.
    os.umask(0o022)
    robot = robot or Robot()
    if sys.argv[1:]:
        try:
            answer = _attempt(IN_UNITS[sys.argv[1]], robot, {"about": sys.argv[-1]})
        except Damaged:
            from ..system import own

            answer = {"status": "failed", "errors": [own.DAMAGED]}
        sys.stderr.write("".join([f"{text}\n" for text in (*answer.get("did", ()), *answer.get("errors", ()))]))
        return 0 if answer["status"] == "ok" else 1
    request: Request = jsontext.loads(sys.stdin.buffer.readline().decode("utf-8"))
    try:
        answer = _answer(robot, request)
    except Damaged:
        return MISSING
    sys.stdout.write(f"{MARKER}\n{jsontext.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


def end(status: int) -> t.NoReturn:
    """End the process at once. Python would first tidy up, a tenth of the time of an unchanged run, and nothing needs it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _answer(robot: Robot, request: Request) -> Answer:
    operation = OPERATIONS.get(request.get("op"))
    if operation is None:
        return {"status": "refused", "errors": [f"op: {request.get('op')!r} is not known to this engine"]}
    return _attempt(operation, robot, request)


def _attempt(operation: t.Callable[[Robot, Request], Answer], robot: Robot, request: Request) -> Answer:
    try:
        return operation(robot, request)
    except Exception as error:
        from ..say.answers import failed, is_internal
        from ..system import own

        if is_internal(error) and own.is_damaged():
            own.retire()
            raise Damaged from error
        found = failed(error)
        if isinstance(error, OSError):
            from ..judge import room

            return {**found, "errors": [*found["errors"], *room.explained(robot, error)]}
        return found
