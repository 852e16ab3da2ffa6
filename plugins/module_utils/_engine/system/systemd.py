# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine asks of systemd, by systemctl."""

from __future__ import annotations

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
    "Id,LoadState,ActiveState,SubState,Result,NRestarts,NeedDaemonReload,Job,ExecMainCode,ExecMainStatus,"
    "ActiveEnterTimestampMonotonic,InactiveEnterTimestamp,MemoryCurrent,MainPID"
)
# The states of a unit of which no process is left.
DOWN = ("inactive", "failed")


def show(units: t.Sequence[str], properties: str = PROPERTIES) -> dict[str, dict[str, str]]:
    """The properties of units, in one call: {unit: {property: text}}. A unit that is not loaded costs 3-4 ms."""
    if not units:
        return {}
    code, output = command.run(["systemctl", "show", "--no-pager", "-p", properties, "--", *units], errors=False)
    if code:
        raise CommandFailed(f"systemctl show ended with status {code}")
    shown = {}
    for block in output.strip().split("\n\n"):
        pairs = [line.partition("=") for line in block.splitlines()]
        values = {name: value for name, equals, value in pairs if equals}
        shown[values.get("Id", "")] = values
    return shown


def loaded(shown: Shown, unit: str) -> bool:
    return shown.get(unit, {}).get("LoadState", "not-found") != "not-found"


def number(values: Properties, name: str) -> int | None:
    """A property as a number; None where systemd has none, and reports "[not set]" or the largest number that there is."""
    text = values.get(name, "")
    return int(text) if text.isdigit() and int(text) < 2**63 else None


def up(values: Properties) -> bool:
    """Whether a unit runs or is about to, and has not just failed."""
    state = values.get("ActiveState")
    return state in ("active", "reloading") or (state == "activating" and values.get("SubState") != "auto-restart")


def reload() -> None:
    command.need(["systemctl", "daemon-reload"], timeout=90)


def stop(units: t.Sequence[str]) -> None:
    """Stop units and wait until they are down; one that systemd does not know, for it was down already, is no error."""
    code, output = command.run(["systemctl", "stop", "--", *units])
    if not code:
        return
    still = sorted(name for name, values in show(units, "Id,ActiveState").items() if values.get("ActiveState") not in DOWN)
    if still:
        raise CommandFailed(f"systemctl stop did not stop {', '.join(still)}: {output.strip()[-2000:]}")


def reset_failed(units: t.Sequence[str]) -> None:
    """Forget failures and used-up start limits; what has none of both is no error."""
    command.run(["systemctl", "reset-failed", "--", *units])


def enqueue(verb: str, units: t.Sequence[str]) -> None:
    command.need(["systemctl", "--no-block", verb, "--", *units], timeout=90)


def journal(unit: str, since: float, lines: int = 10) -> list[str]:
    """The last lines that a unit, and systemd about it, wrote since a time (seconds since the epoch), as they were written."""
    command.run(["journalctl", "--sync"], timeout=10)
    argv = ["journalctl", "--no-pager", "-q", "-o", "cat", "-r", "-n", str(lines), "--since", f"@{int(since)}", "-u", unit]
    # With --since, -n alone would count from there: the newest are asked for, newest first.
    newest = command.run(argv, errors=False, timeout=20)[1].split("\n")
    return [line for line in reversed(newest) if line]
