# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of the health checks of tasks: read by all who want to know, and written by the runner alone.

A file for each task, root's, in memory: which start of the task it is of, and a state for each check. Of another start, or of a check
that was another one, it says nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib

from .. import plan
from ..say import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class _Check(t.TypedDict):
        name: str
        type: str
        interval: float  # seconds, as all times
        timeout: float
        initial: str
        good: int  # so many results in a row
        bad: int

    class Check(_Check, total=False):
        """As the compiler has written it (compile/content/checks.py)."""

        host: str
        port: int
        method: str
        path: str
        headers: dict[str, str]
        expect: str
        service: str
        tls: dict[str, t.Any]
        argv: list[str]
        restart: Limit

    class Limit(t.TypedDict):
        limit: int
        grace: float

    class Stop(t.TypedDict):
        """How a task is asked to end: by a command, or by a signal to all of its processes or to the main one."""

        argv: list[str]
        signal: int
        all: bool
        seconds: float

    class _Run(t.TypedDict):
        """``confined``: without any privilege. ``environment``: the file with their variables."""

        user: str
        group: str
        groups: list[str]
        confined: bool
        environment: str
        directory: str
        path: str

    class Run(_Run, total=False):
        """How the scripts of a task run. ``users``: their user is in a namespace of its own. ``container``: they run in the container
        that has its runtime files in this directory, and nothing else is said.
        """

        users: t.Literal["own"]
        container: str

    class _Description(t.TypedDict):
        unit: str
        checks: list[Check]

    class Description(_Description, total=False):
        """The checks of a task. ``network``: the file of its pod's network."""

        network: str
        run: Run
        stop: Stop

    class State(t.TypedDict):
        """Times are of the monotonic clock. ``of`` tells the check that it is of from another one of its name."""

        of: int
        status: str
        since: float
        at: float  # of the last result; 0 where there was none
        due: float
        said: str
        output: str  # the last line of what the task has answered: it may contain anything
        passed: bool  # whether it ever has since the task started
        good: int  # results in a row
        bad: int
        failed: int  # the same for a restart

    class Task(t.TypedDict):
        started: int  # when its unit became active, as systemd has it
        checks: dict[str, State]

    class Outcome(t.NamedTuple):
        status: str
        said: str
        output: str = ""

    class Seen(t.TypedDict):
        """A check as people want to know it."""

        name: str
        type: str
        status: str
        seconds: int | None  # since then: for how long it has had this status
        said: str
else:
    from collections import namedtuple

    Outcome = namedtuple("Outcome", "status said output", defaults=("",))

PASSING, WARNING, CRITICAL = "passing", "warning", "critical"
STATUSES = (PASSING, WARNING, CRITICAL)
# What is kept of an answer, in characters.
LONGEST = 200
# Among the states: a deployment waits for checks that have not passed yet.
NOW = ".now"
# What a description must have to be one of this version.
_KEYS = ("name", "type", "interval", "timeout", "initial", "good", "bad")
# Of a check for which nobody is restarted.
NEVER: Limit = {"limit": 0, "grace": 0.0}
# Seconds. Checks that have not been run for so long beyond their time are not being run.
SILENCE = 60.0


def described(directory: str = plan.CHECKS) -> dict[str, Description]:
    """The checks of all tasks, by the name of their file."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {}
    found = {}
    for name in names:
        # A file that is on its way has a name with a dot in front.
        description = None if name.startswith(".") else _read(f"{directory}/{name}")
        if description and _is_sound(description):
            found[name] = description
    return found


def _is_sound(description: t.Any) -> bool:
    """Whether it is one of this version: one that is not must not keep others from their checks."""
    try:
        return bool(description["unit"]) and all(key in check for check in description["checks"] for key in _KEYS)
    except (LookupError, TypeError):
        return False


def load(task: str, directory: str = plan.CHECK_STATES) -> Task:
    found: Task | None = _read(f"{directory}/{task}")
    # One of another version may have other keys.
    return found if found and set(found) == {"started", "checks"} else {"started": 0, "checks": {}}


def ask(directory: str = plan.CHECK_STATES) -> None:
    """Have checks that have not passed yet run at once, and not when it is their time."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.close(os.open(f"{directory}/{NOW}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def is_asked(directory: str = plan.CHECK_STATES) -> bool:
    """Whether somebody has asked since the last call."""
    try:
        os.unlink(f"{directory}/{NOW}")
    except FileNotFoundError:
        return False
    return True


def save(task: str, state: Task, directory: str = plan.CHECK_STATES) -> None:
    temporary = f"{directory}/.{task}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(jsontext.dumps(state))
    os.rename(temporary, f"{directory}/{task}")


def _read(path: str) -> t.Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return jsontext.loads(stream.read())
    except (OSError, ValueError):
        return None


def identity(check: Check) -> int:
    return zlib.crc32(jsontext.dumps(check).encode())


def fresh(check: Check, now: float) -> State:
    """Of a check that has not been run yet."""
    return {
        "of": identity(check),
        "status": check["initial"],
        "since": now,
        "at": 0.0,
        "due": now,
        "said": "",
        "output": "",
        "passed": False,
        "good": 0,
        "bad": 0,
        "failed": 0,
    }


def current(check: Check, task: Task, started: int, now: float) -> State:
    """The state of a check of a task that has been up since ``started``."""
    new, state = fresh(check, now), task["checks"].get(check["name"])
    # One of another version has other keys.
    is_known = state is not None and state.keys() == new.keys() and task.get("started") == started and state["of"] == new["of"]
    return state if state is not None and is_known else new


def after(check: Check, state: State, outcome: Outcome, now: float, counts: bool = True) -> State:
    """The state once a check has come to a result. ``counts``: it was its time, so a bad one is one more in a row."""
    well = outcome.status != CRITICAL
    if not well and not counts:
        return {**state, "at": now, "said": outcome.said, "output": outcome.output, "good": 0}
    good, bad = (state["good"] + 1, 0) if well else (0, state["bad"] + 1)
    reached = good >= check["good"] if well else bad >= check["bad"]
    status = outcome.status if reached else state["status"]
    return {
        "of": state["of"],
        "status": status,
        "since": state["since"] if status == state["status"] else now,
        "at": now,
        "due": state["due"],
        "said": outcome.said,
        "output": outcome.output,
        "passed": state["passed"] or (reached and outcome.status == PASSING),
        "good": good,
        "bad": bad,
        "failed": 0 if outcome.status == PASSING else state["failed"] + counts,
    }


def of(path: str, started: int | None = None) -> list[tuple[Check, State]]:
    """The checks of a task, by the path of their file, with their states. ``started``: when its unit became active, as systemd has it;
    what was before that is nothing to go by.
    """
    description: Description | None = _read(path) if path else None
    if not description:
        return []
    task, now = load(os.path.basename(path)), time.monotonic()
    return [(check, current(check, task, task["started"] if started is None else started, now)) for check in description["checks"]]


def blamed(path: str, started: int) -> str:
    """Why the checks of a task had it end, by the path of their file, in words; empty where they had not. ``started``: as for `of`."""
    found = [(check["name"], state) for check, state in of(path, started) if 0 < check.get("restart", NEVER)["limit"] <= state["failed"]]
    texts = [
        f"health check {name} had failed {state['failed']} time{'s in a row' * (state['failed'] > 1)}: {state['said']}"
        for name, state in found
    ]
    return f"it was asked to end, because {' and '.join(texts)}" if texts else ""


def seen(path: str, started: int) -> list[Seen]:
    """The same for people. What is not being run is critical, whatever it was."""
    now = time.monotonic()
    return [_seen(check, state, now) for check, state in of(path, started)]


def _seen(check: Check, state: State, now: float) -> Seen:
    silent = now - (state["at"] or state["since"])
    is_run = silent <= 2 * check["interval"] + check["timeout"] + SILENCE
    return {
        "name": check["name"],
        "type": check["type"],
        "status": state["status"] if is_run else CRITICAL,
        "seconds": int(now - state["since"]) if state["at"] else None,
        "said": state["said"] if is_run else f"not run for {silent:.0f} s; see: systemctl status k8s4r-checks.timer k8s4r-checks.service",
    }


def of_script(code: int, said: bytes) -> Outcome:
    """What an exit status means."""
    return Outcome({0: PASSING, 1: WARNING}.get(code, CRITICAL), f"exit status {code}", last_line(said))


def last_line(content: bytes) -> str:
    """The last line of an answer that says something, as far as it is kept; nothing in it can do a terminal any harm."""
    lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
    return "".join([char if char.isprintable() else "\ufffd" for char in lines[-1].strip()[:LONGEST]]) if lines else ""


def forget(tasks: t.Container[str], directory: str = plan.CHECK_STATES) -> None:
    """Remove the states of all tasks but these."""
    for name in os.listdir(directory):
        if name not in tasks and name != NOW:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
