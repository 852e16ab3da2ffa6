# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How and when a unit ended, in words, from what systemd reports of it: systemd.service(5), Result in org.freedesktop.systemd1(5),
and "Process Exit Codes" of systemd.exec(5).
"""

from __future__ import annotations

import signal
import time

from ..plan import RESTART_COUNTS
from . import systemd
from .systemd import DOWN, number, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .systemd import Properties

# The exit statuses with which systemd itself ends before it runs the program. More than these have names; these are met.
NOT_STARTED = range(200, 246)
# So many seconds after its start, a program that cannot be run has ended.
AT_ONCE = 1.0
NO_NAMESPACE = 226
REASONS = {
    200: "its working directory cannot be entered",
    203: "it cannot be executed",
    209: "its log cannot be opened",
    216: "its group does not exist",
    217: "its user does not exist",
    NO_NAMESPACE: "its view of the file system cannot be set up",
}
CANNOT_EXECUTE, NOT_FOUND = 126, 127
# Results that say all; the others need the exit status.
RESULTS = {
    "oom-kill": "the kernel killed its program because memory ran out",
    "protocol": "its program ended before it was ready",
    "resources": "systemd could not prepare its start",
    "start-limit-hit": "it was started too often",
    "watchdog": "its program no longer answered its watchdog and was killed",
}
RUNNING, EXITED, DUMPED = "0", "1", "3"
STOPPED, NEVER = "it was stopped", "it was not started"
# With these settings of Restart=, systemd does not start a unit again that has ended well; systemd.service(5).
_LEAVES_DOWN = ("no", "on-failure", "on-abnormal", "on-watchdog", "on-abort")
KILLED = "its program did not end when it was asked to, and was killed"
# Of one whose program is what runs when it stops.
LAST_FAILED = "its poststop program failed"


def words(values: Properties, stays: bool = False) -> str:
    """How a unit ended. ``stays``: it is a service, whose program should never end."""
    if values.get("LoadState") == "not-found":
        return "there is no such unit"
    result = values.get("Result", "")
    # One whose program has ended by itself is not stopped, although what follows its end may still run.
    asked, runs = bool(number(values, "Job")), not number(values, "ExecMainCode")
    if values.get("ActiveState") == "deactivating" and (asked or runs):
        return "it is being stopped"
    if not seconds(values, "ExecMainStartTimestampMonotonic"):
        return _without_program(values, result)
    if result == "success" and values.get("ActiveState") == "inactive" and _by_signal(values):
        return STOPPED
    text = _after_timeout(values, stays) if result == "timeout" else RESULTS.get(result) or _of_program(values, stays)
    restarts = number(values, "NRestarts") or 0
    times = f"{text}, {restarts + 1} times" if restarts else text
    return f"{times}; a service must stay in the foreground" if stays and by_itself(values) else times


def of(unit: str, values: Properties, stays: bool, runtime: str, asked: str = "") -> str:
    """How a unit ended, and whether it was its restart policy that left it down, which keeps its counts below ``runtime``. ``asked``:
    why its checks had it end, if they had.
    """
    text = words(values, stays)
    if text == LAST_FAILED:
        text = _of_last(unit)
    elif text == NEVER:
        text += _for_want(unit)
    over = _given_up(unit, runtime) if values.get("ActiveState") in DOWN else ""
    if not over and _must_have_been_stopped(values):
        text = STOPPED
    if text == STOPPED and over and not asked:
        text = "its program was stopped, or exited with 0"
    if asked:
        # An end that counts as a good one is the one that was asked for.
        text = asked if values.get("Result") == "success" else f"{text}; {asked}"
    return f"{text}; {over}" if over else text


def _must_have_been_stopped(values: Properties) -> bool:
    """Whether a unit is down that its own end would not have left so: systemd would have started it again, or it had come to its end before
    and counted as up.
    """
    if (
        values.get("ActiveState") != "inactive"
        or values.get("Result") != "success"
        or not seconds(values, "ExecMainStartTimestampMonotonic")
    ):
        return False
    remained = values.get("Type") == "oneshot" and not never_up(values)
    return values.get("Restart", "no") not in _LEAVES_DOWN or remained


def _given_up(unit: str, runtime: str) -> str:
    """That the restart policy of a unit has left it down, in words; empty where it has not. What ends with the unit has put its own mark
    in front: end_instance.sh.
    """
    try:
        with open(f"{runtime}/{RESTART_COUNTS}/{unit}", encoding="utf-8") as stream:
            noted = stream.read().split()
    except (FileNotFoundError, ValueError):
        return ""
    if noted[2:][-1:] != ["over"] or not noted[-2].isdigit():
        return ""
    restarts = int(noted[-2]) - 1
    return (
        f"its restart policy has given up, after {restarts} restart{'s' * (restarts > 1)}"
        if restarts
        else "its restart policy has given up"
    )


def _of_last(unit: str) -> str:
    """Systemd tells the status of what runs at the end of a unit only beside its command line."""
    ran = systemd.show([unit], "Id,ExecStop").get(unit, {}).get("ExecStop", "")
    fields = dict(field.strip().partition("=")[::2] for field in ran.strip("{} ").split(" ; "))
    status = fields.get("status", "").partition("/")[0]
    return f"{LAST_FAILED} with exit status {status}" if fields.get("code") == "exited" and status.isdigit() else LAST_FAILED


def _for_want(unit: str) -> str:
    """Why a unit was not started whose fault that is not: what it requires has failed."""
    required = systemd.show([unit], "Id,Requires").get(unit, {}).get("Requires", "").split()
    shown = systemd.show(required, "Id,ActiveState") if required else {}
    failed = sorted(name for name in required if shown.get(name, {}).get("ActiveState") == "failed")
    return f", because {failed[0]} failed; journalctl -u {failed[0]} on the robot says why" if failed else ""


def _without_program(values: Properties, result: str) -> str:
    """How a unit ended that has no program, or whose program was not started. A target has no result."""
    if result in ("", "success"):
        return STOPPED if seconds(values, "ActiveEnterTimestampMonotonic") else NEVER
    if result == "timeout":
        return "it did not end within its time, and was killed"
    return RESULTS.get(result) or (LAST_FAILED if is_last(values) else "a step before its start failed")


def is_last(values: Properties) -> bool:
    """Whether a unit was up in its last life, without a program: what ran was there for its end."""
    entered = seconds(values, "ActiveEnterTimestampMonotonic")
    return not seconds(values, "ExecMainStartTimestampMonotonic") and 0 < entered >= seconds(values, "InactiveExitTimestampMonotonic")


def by_itself(values: Properties) -> bool:
    """Whether a unit that should run ended well although nobody stopped it."""
    ended_well = values.get("Result") == "success" and values.get("ExecMainCode") == EXITED and values.get("ExecMainStatus") == "0"
    return ended_well and (values.get("ActiveState") != "inactive" or bool(number(values, "NRestarts")))


def _by_signal(values: Properties) -> bool:
    """Whether a unit whose end counts as a good one ended by a signal; a shell around the program reports it as a status."""
    return values.get("ExecMainCode") != EXITED or (number(values, "ExecMainStatus") or 0) > 128


def _after_timeout(values: Properties, stays: bool) -> str:
    if never_up(values):
        return f"{'it was not ready' if stays else 'it did not end'} within {values.get('TimeoutStartUSec', 'its time')}"
    if values.get("ExecMainStatus") == str(int(signal.SIGKILL)):
        return KILLED
    return "its program ran for longer than it may, and was stopped"


def had_to_be_killed(values: Properties) -> bool:
    """Whether a unit that was stopped did not end within the time that it has for that."""
    killed = values.get("ExecMainCode") != EXITED and values.get("ExecMainStatus") == str(int(signal.SIGKILL))
    return values.get("ActiveState") in DOWN and values.get("Result") == "timeout" and killed


def _of_program(values: Properties, stays: bool) -> str:
    status = number(values, "ExecMainStatus") or 0
    if values.get("ExecMainCode") == RUNNING:
        # Its last end is forgotten with the next start.
        return "its program ended, and was started again"
    if values.get("ExecMainCode") != EXITED:
        dumped = " and dumped core" if values.get("ExecMainCode") == DUMPED else ""
        return f"its program was killed by signal {_signal(status)}{dumped}"
    if _not_executed(values):
        return f"its program was not started, exit status {status}" + (f": {REASONS[status]}" if status in REASONS else "")
    if status in (CANNOT_EXECUTE, NOT_FOUND):
        reason = "was not found" if status == NOT_FOUND else "cannot be executed"
        return f"its program ended with exit status {status}: it, or one that it starts, {reason}"
    if status == 0:
        return f"its program ended {'by itself ' if stays and by_itself(values) else ''}with 0"
    # What a shell reports of a program that a signal killed.
    shell = f", as after signal {_signal(status - 128)}" if 128 < status <= 128 + int(signal.SIGRTMAX) else ""
    return f"its program ended with exit status {status}{shell}"


def _signal(number_: int) -> str:
    try:
        return f"{number_} ({signal.Signals(number_).name})"
    except ValueError:
        return str(number_)


def never_up(values: Properties) -> bool:
    """Whether the last start of a unit did not come to its end."""
    return seconds(values, "ActiveEnterTimestampMonotonic") < seconds(values, "ExecMainStartTimestampMonotonic")


def cannot_start(values: Properties) -> bool:
    """Whether a unit that has ended would never start, however often it was tried: its program is not there, or cannot be run."""
    if values.get("ExecMainCode") != EXITED:
        return False
    if number(values, "ExecMainStatus") == NO_NAMESPACE and not number(values, "NRestarts"):
        # Of two units that mount something at a place that is not there yet, systemd 247 fails one if both make that place at once.
        return False
    return _not_executed(values) or (number(values, "ExecMainStatus") in (CANNOT_EXECUTE, NOT_FOUND) and _at_once(values))


def _not_executed(values: Properties) -> bool:
    """Whether systemd could not execute the program. One of Type=simple is up before that is known; a program of its own accord hardly
    ever ends so, and at once.
    """
    known = never_up(values) or (values.get("Type") == "simple" and _at_once(values))
    return number(values, "ExecMainStatus") in NOT_STARTED and known


def _at_once(values: Properties) -> bool:
    return lasted(values) < AT_ONCE


def lasted(values: Properties) -> float:
    """For how long the program of a unit ran that has ended, in seconds."""
    began, ended = (seconds(values, f"ExecMain{end}TimestampMonotonic") for end in ("Start", "Exit"))
    if values.get("Type") == "exec":
        # What systemd itself does before it executes the program takes long on a busy robot, and is none of its time.
        executed = seconds(values, "ActiveEnterTimestampMonotonic")
        began = executed if began <= executed <= ended else began
    return ended - began


def started(values: Properties, since: float) -> bool:
    """Whether a unit's program was started after a time of the monotonic clock."""
    return seconds(values, "ExecMainStartTimestampMonotonic") >= since


def when(values: Properties) -> float | None:
    """When a unit that is down ended, or one that waits for its next try last did: of the monotonic clock, in seconds."""
    down = values.get("ActiveState") in DOWN
    return seconds(values, "InactiveEnterTimestampMonotonic" if down else "ExecMainExitTimestampMonotonic") or None


def wall(monotonic: float) -> str:
    """A time of the monotonic clock as one of the wall clock, as that is set now."""
    return utc(time.time() - (time.monotonic() - monotonic))


def utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
