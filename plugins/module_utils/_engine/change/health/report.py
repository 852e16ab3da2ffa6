# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to report of units that do not do well: how each ended, and its last lines."""

from __future__ import annotations

from ... import plan
from ...checks import states
from ...resources import kinds
from ...say import texts
from ...system import endings, systemd
from ...usage import oom

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...logs.words import LastWords
    from ...plan import Resource

# What systemd writes of a program that cannot be executed, in two lines. How the first one begins differs from version to version.
NAMED = ("Failed to execute ", "Failed to locate executable ", "Unable to locate executable ")
FAILED_STEP = "Failed at step EXEC spawning "


def of_ended(units: t.Sequence[Resource], shown: systemd.Shown, since: float, words: LastWords) -> list[str]:
    """What happened to each unit. Those that only waited for one that failed are not mentioned beside it."""
    shown = oom.told(shown)
    tried = [unit for unit in units if _tried(shown.get(unit["name"], {}), since)]
    # What runs when others have ended is not why they did.
    tried.sort(key=lambda unit: endings.is_last(shown.get(unit["name"], {})))
    said = []
    for unit in tried or units:
        lines = "".join("\n    " + line for line in last_lines(unit, since, words))
        how = ended(unit, shown.get(unit["name"], {}))
        said.append(f"{kinds.called(unit)}: {how}{'; its last lines:' if lines else ''}{lines}")
    return said


def of_late(unit: Resource, why: t.Sequence[str], since: float, words: LastWords) -> str:
    """What is said of a unit whose time was up."""
    lines = "".join("\n    " + line for line in last_lines(unit, since, words))
    return f"{kinds.called(unit)}: {'; '.join(why)}{'; its last lines:' if lines else ''}{lines}"


def ended(unit: Resource, values: systemd.Properties, runtime: str = plan.RUNTIME) -> str:
    """How a unit ended, and who had it end or left it down, in words."""
    kind = kinds.of(unit)
    asked = states.blamed(kind.checks(unit), systemd.number(values, "ActiveEnterTimestampMonotonic") or 0)
    return endings.of(unit["name"], values, kind.steady(unit), runtime, asked)


def last_lines(unit: Resource, since: float, words: LastWords, most: int = 10) -> list[str]:
    """From its log files, and from the journal: why its program could not be executed, and all of a unit that has no log files."""
    logs = kinds.of(unit).logs(unit)
    written = texts.once(systemd.last_words(unit["name"], since, most))
    if any(text.startswith(NAMED) for text in written):
        # That names the program and the reason, too.
        written = [text for text in written if not text.startswith(FAILED_STEP)]
    return (written + (words.of(logs, most) if logs else []))[-most:]


def _tried(values: systemd.Properties, since: float) -> bool:
    return endings.started(values, since) or values.get("Result", "success") != "success"
