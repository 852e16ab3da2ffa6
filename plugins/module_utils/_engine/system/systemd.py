# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine asks of systemd, by systemctl."""

from __future__ import annotations

import time

from ..say.errors import CommandFailed
from . import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # What systemd reported of one unit: its properties as text.
    Properties = t.Mapping[str, str]
    # And of several, by their names.
    Shown = t.Mapping[str, Properties]

# What decides whether a unit does what it should, and what a person wants to know of one.
PROPERTIES = (
    "Id,Type,LoadState,ActiveState,SubState,Result,NRestarts,NeedDaemonReload,Job,ExecMainCode,ExecMainStatus,"
    "ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic,"
    "InactiveExitTimestampMonotonic,TimeoutStartUSec,MemoryCurrent,MainPID,Restart"
)
# Of a timer: whether it is set, and for when.
TIMER_PROPERTIES = "Id,ActiveState,NextElapseUSecMonotonic"
# As systemd.time(7) has them, in seconds.
_SPANS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "month": 2629800.0, "y": 31557600.0}
# The states of a unit of which no process is left.
DOWN = ("inactive", "failed")
# The sub-state of one that waits for its next try.
AUTO_RESTART = "auto-restart"

# What the programs that talk to systemd say when it is gone before it has answered. It executes itself anew whenever it is upgraded
# (systemctl daemon-reexec), in less than a second on most machines.
GONE = (
    "Message recipient disconnected",
    "Transport endpoint is not connected",
    "Connection reset by peer",
    "Connection refused",
    "Broken pipe",
    # It reads all units anew, from a slow disk.
    "Connection timed out",
)
PATIENCE, INTERVAL = 15.0, 0.1
# The state of a unit of which systemd has not told within that time.
NO_ANSWER = "no answer"
# Seconds: for so long a stop is asked for again that others cancel.
STOPPING = 120.0
# A unit is asked for that is there already.
THERE = ("was already loaded", "already exists")


def ask(argv: list[str], timeout: float | None = None) -> tuple[int, str]:
    """Run a program that asks systemd for something, and again for some seconds where it is gone before it has answered.

    Its exit status and what it printed, as `command.run` has them. What is asked for may be done twice.
    """
    deadline = None
    while True:
        code, output = command.run(argv, timeout=timeout)
        if not code or not any(text in output for text in GONE):
            return code, output
        # From the first answer on that is none: it may itself have taken long.
        deadline = deadline or time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            return code, output
        time.sleep(INTERVAL)


def need(argv: list[str], timeout: float | None = None) -> None:
    """Ask systemd for something that it must do."""
    code, output = ask(argv, timeout)
    if code:
        raise command.failed(argv, code, output)


def show(units: t.Sequence[str], properties: str = PROPERTIES) -> dict[str, dict[str, str]]:
    """The properties of units, in one call: {unit: {property: text}}. A unit that is not loaded costs 3-4 ms."""
    if not units:
        return {}
    argv = ["systemctl", "show", "--no-pager", "-p", properties, "--"]
    code, output = ask([*argv, *units])
    if code:
        raise command.failed(argv, code, output)
    shown = {}
    for block in output.strip().split("\n\n"):
        pairs = [line.partition("=") for line in block.splitlines()]
        values = {name: value for name, equals, value in pairs if equals}
        shown[values.get("Id", "")] = values
    return shown


def known(units: t.Collection[str]) -> set[str]:
    """Those of some units that systemd has in memory. Unlike `show`, this does not load the others from the disk."""
    if not units:
        return set()
    argv = ["systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager", "--", *units]
    code, output = ask(argv)
    if code:
        raise command.failed(argv, code, output)
    # A mark may stand in front of a name.
    return {word for line in output.splitlines() for word in line.split()[:2] if word in units}


def calm(units: t.Sequence[str], restarts: int) -> bool:
    """Whether all units are active, are what their files on the disk define, and were restarted by systemd less often than this.

    It takes a fraction of the time of `show`; but False may also mean that the robot has no D-Bus, so then `show` says more.
    """
    from . import bus

    services = [unit for unit in units if unit.endswith(".service")]
    asked = [(unit, "Unit", name) for unit in units for name in ("ActiveState", "NeedDaemonReload")]
    try:
        answers = bus.get([*asked, *[(unit, "Service", "NRestarts") for unit in services]])
    except (OSError, ValueError, LookupError):
        return False
    states, counts = answers[: len(asked)], answers[len(asked) :]
    return states == ["active", 0] * len(units) and all(isinstance(count, int) and count < restarts for count in counts)


def changes(units: t.Sequence[str]) -> list[t.Any]:
    """When each unit last changed its state, for a caller that wants to know whether what it was shown is still so: this takes a tenth of
    the time. Empty where the robot does not tell.
    """
    from . import bus

    try:
        found = bus.get([(unit, "Unit", "StateChangeTimestampMonotonic") for unit in units]) if units else []
    except (OSError, ValueError, LookupError):
        return []
    return [] if None in found else found


def loaded(shown: Shown, unit: str) -> bool:
    """Whether systemd has a unit: from its file, or because it runs, or has failed, and has lost its file."""
    values = shown.get(unit, {})
    return values.get("LoadState", "not-found") != "not-found" or values.get("ActiveState", "inactive") != "inactive"


def has_read(units: t.Sequence[str]) -> bool:
    """Whether systemd has these units as their files on the disk are."""
    shown = show(units, "Id,LoadState,NeedDaemonReload")
    wanted = {"LoadState": "loaded", "NeedDaemonReload": "no"}
    return all(wanted.items() <= shown.get(unit, {}).items() for unit in units)


def number(values: Properties, name: str) -> int | None:
    """A property as a number; None where systemd has none, and reports "[not set]" or the largest number that there is."""
    text = values.get(name, "")
    return int(text) if text.isdigit() and int(text) < 2**63 else None


def seconds(values: Properties, name: str) -> float:
    """A time of the monotonic clock, which systemd reports in microseconds; 0 where it has none."""
    return (number(values, name) or 0) / 1e6


def span(text: str) -> float:
    """A time span as systemd writes it, `1h 2min 3.5s`, in seconds; 0 where it is none, as `infinity`."""
    found = 0.0
    for word in text.split():
        amount = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = _SPANS.get(word[len(amount) :])
        if unit is None or not amount.replace(".", "", 1).isdigit():
            return 0.0
        found += float(amount) * unit
    return found


def up(values: Properties) -> bool:
    """Whether a unit runs or is about to, and has not just failed."""
    state = values.get("ActiveState")
    return state in ("active", "reloading") or (state == "activating" and values.get("SubState") != AUTO_RESTART)


def reload() -> None:
    need(["systemctl", "daemon-reload"], timeout=90)


def stop(units: t.Sequence[str]) -> None:
    """Stop units and wait until they are down; one that systemd does not know, for it was down already, is no error.

    Socket units stop when all others are down: what a program writes while such a stop is waiting for its turn, systemd discards.
    """
    sockets = [unit for unit in units if unit.endswith(".socket")]
    for each in ([unit for unit in units if unit not in sockets], sockets):
        if each:
            _stop(each)


def _stop(units: t.Sequence[str]) -> None:
    deadline = time.monotonic() + STOPPING
    while True:
        code, output = ask(["systemctl", "stop", "--", *units])
        if not code:
            return
        still = sorted(name for name, values in show(units, "Id,ActiveState").items() if values.get("ActiveState") not in DOWN)
        if not still:
            return
        # A unit that wants one of them, and is started again by its Restart= just now, makes systemd drop the stop.
        if "canceled" not in output or time.monotonic() >= deadline:
            raise CommandFailed(f"systemctl stop did not stop {', '.join(still)}: {output.strip()[-2000:]}")
        time.sleep(INTERVAL)


def reset_failed(units: t.Sequence[str]) -> None:
    """Forget failures and used-up start limits; a unit with neither is no error."""
    ask(["systemctl", "reset-failed", "--", *units])


def start(units: t.Sequence[str]) -> None:
    """Have units started, each with all that it requires or wants, and do not wait for it."""
    need(["systemctl", "--no-block", "start", "--", *units], timeout=90)


def program_of(unit: str, patience: float = 0.0) -> int | None:
    """The process of a unit's program, 0 where none runs; of one that just starts, when it has started or so many seconds have gone."""
    deadline = time.monotonic() + patience
    while True:
        values = show([unit], "Id,ActiveState,SubState,MainPID").get(unit, {})
        if values.get("ActiveState") != "activating" or not up(values) or time.monotonic() >= deadline:
            return number(values, "MainPID")
        time.sleep(INTERVAL)


def refresh(unit: str) -> bool:
    """Have a unit that is up take in changed files, by its ExecReload=, and wait for that; whether it went well.

    It does not wait for the start of those that it was started after, which may take them an hour.
    """
    return ask(["systemctl", "--job-mode=ignore-dependencies", "try-reload-or-restart", "--", unit], timeout=90)[0] == 0


def run_in_unit(name: str, properties: t.Iterable[str], argv: t.Sequence[str]) -> None:
    """Run a program in a transient unit, whose end is not waited for."""
    options = [word for text in properties for word in ("-p", text)]
    command_line = ["systemd-run", "--quiet", "--collect", "--unit", name, *options, *argv]
    code, output = ask(command_line, timeout=30)
    # It was started by a first request, whose answer was lost.
    if code and not any(text in output for text in THERE):
        raise command.failed(command_line, code, output)


def state(unit: str) -> str:
    """The state of a unit, or NO_ANSWER; inactive also where there is no such unit. What the loader of programs may say goes before it."""
    output = ask(["systemctl", "is-active", unit])[1]
    return NO_ANSWER if any(text in output for text in GONE) else (output.split() or [""])[-1]


def last_words(unit: str, since: float, lines: int = 10) -> list[str]:
    """The last lines that a unit's programs wrote into the journal since a time of the monotonic clock, and why one could not be
    executed; without what systemd writes of starts and ends.
    """
    import json

    command.run(["journalctl", "--sync"], timeout=10)
    fields = ["-o", "json", "--output-fields=MESSAGE,_PID", "--all"]
    # Newest first. Of each try, systemd itself writes some six lines.
    argv = ["journalctl", "--no-pager", "-q", "-b", *fields, "-r", "-n", str(lines * 10), *_about(unit)]
    lines_of_json = command.run(argv, errors=False, timeout=20)[1].splitlines()
    # The last one may be cut off, if the time was up.
    entries = [json.loads(line) for line in lines_of_json if line.startswith("{") and line.endswith("}")]
    written = [entry for entry in entries if entry.get("_PID") != "1" and int(entry["__MONOTONIC_TIMESTAMP"]) >= since * 1e6]
    said = [_message(entry) for entry in reversed(written[:lines])]
    return [text[len(unit) + 2 :] if text.startswith(f"{unit}: ") else text for text in said if text]


def _about(unit: str) -> list[str]:
    """What journalctl looks for. Of a process that has ended before the journal looked at it, as one that could not be executed mostly
    has on a busy robot, it does not know the unit; but systemd names it in UNIT=. So may anybody: it counts from root and the unit's user.
    """
    from . import accounts

    user = show([unit], "Id,User").get(unit, {}).get("User", "")
    trusted = sorted({0, accounts.user_id(user)} if user and accounts.user_exists(user) else {0})
    named = [word for number_ in trusted for word in ("+", f"UNIT={unit}", f"_UID={number_}")]
    return [f"_SYSTEMD_UNIT={unit}", *named, "+", f"COREDUMP_UNIT={unit}", "_UID=0"]


def _message(entry: t.Mapping[str, t.Any]) -> str:
    """A message that is not UTF-8 is a list of its bytes; one that was given several times is a list of messages."""
    message = entry.get("MESSAGE") or ""
    if not isinstance(message, list):
        return str(message)
    if all(isinstance(part, int) for part in message):
        return bytes(message).decode("utf-8", "replace")
    return "\n".join([_message({"MESSAGE": part}) for part in message])
