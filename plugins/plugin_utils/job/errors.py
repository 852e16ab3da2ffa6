# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a job file, as data, and how it reads to a person."""

from __future__ import annotations

import difflib
import typing as t

Position = tuple[int, int]

# So many robots of an error are named.
MOST_ROBOTS = 6
# So many lines of its other places.
MOST_LINES = 10
# How much of two words is the same where one may be the other, spelt wrong; and where it very probably is.
ALIKE, VERY = 0.6, 0.8
# The way out where a key has no value.
EMPTY = 'write "" for empty text, or remove the key'
# Errors that are shown at once. More than this usually come from one mistake.
MOST = 50


class Problem(t.NamedTuple):
    """One error or warning: where (line and column count from 1; 0 when unknown), what was found, the way out.

    ``robots``: those that have it, where it depends on the robot. ``cause``: what is wrong wherever the file has it, and so is one error
    for all these places; ``also`` are the lines of the others.
    """

    file: str
    message: str
    remedy: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    robots: tuple[str, ...] = ()
    cause: str = ""
    also: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = ":".join([printable(self.file), *(str(number) for number in (self.line, self.column) if number)])
        whose = f" (for {few(self.robots, MOST_ROBOTS)})" if self.robots else ""
        also = f", also on line{'s' * (len(self.also) > 1)} {few([*map(str, self.also)], MOST_LINES)}" if self.also else ""
        parts = (place, self.path, self.message + also + whose + (f"; {self.remedy}" if self.remedy else ""))
        return ": ".join(part for part in parts if part)


class Mistake(Exception):
    """What is wrong with a value, before anyone knows whether the value may be shown.

    ``reason`` and ``remedy`` therefore repeat nothing of the value. ``value`` is the value in words, and ``value_remedy`` is a
    better remedy that repeats some of it: a file that is vaulted as a whole shows neither. ``at`` is the value's place, where
    that is not the place of its key. ``cause`` is that of the error (`Problem`). ``rests_on`` are other
    paths: where one of them has an error, this mistake may be its consequence.
    """

    def __init__(
        self,
        reason: str,
        remedy: str = "",
        *,
        value: str = "",
        value_remedy: str = "",
        at: Position | None = None,
        cause: str = "",
        rests_on: t.Sequence[str] = (),
    ) -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.value, self.value_remedy, self.at = reason, remedy, value, value_remedy, at
        self.cause, self.rests_on = cause, rests_on

    def message(self, hidden: bool = False) -> str:
        """The value and what is wrong with it; ``hidden``: without the value."""
        return f"found {self.value}: {self.reason}" if self.value and not hidden else self.reason

    def way_out(self, hidden: bool = False) -> str:
        """What to do about it; ``hidden``: without the value."""
        return self.remedy if hidden else self.value_remedy or self.remedy


def together(problems: t.Iterable[Problem]) -> list[Problem]:
    """Each problem once, with all robots that have it, and each cause once, with all places that have it; of each file, from its first
    line to its last.
    """
    robots: dict[Problem, dict[str, None]] = {}
    for problem in problems:
        robots.setdefault(problem._replace(robots=()), {}).update(dict.fromkeys(problem.robots))
    causes: dict[tuple[t.Any, ...], list[Problem]] = {}
    for number, (problem, names) in enumerate(robots.items()):
        of_cause = (problem.file, problem.cause, problem.message, *names) if problem.cause else (number,)
        causes.setdefault(of_cause, []).append(problem._replace(robots=tuple(names)))
    found = [_at_first(places) for places in causes.values()]
    files = {file: number for number, file in enumerate(dict.fromkeys(problem.file for problem in found))}
    return sorted(found, key=lambda problem: (files[problem.file], problem.line, problem.column))


def _at_first(places: list[Problem]) -> Problem:
    first = min(places, key=lambda problem: (problem.line, problem.column))
    lines = {line for place in places for line in (place.line, *place.also)}
    return first._replace(also=tuple(sorted(lines - {first.line})))


# A mistake and the path of the key that has it.
Finding = tuple[str, Mistake]


def without_consequences(findings: t.Iterable[Finding], wrong: t.Collection[str]) -> list[Finding]:
    """The findings but for those of which something is wrong already, at one of the paths `wrong`, with what they are about or rest on,
    or with what is above or below that: they may well be gone once that is mended.
    """
    if not wrong:
        return list(findings)
    above = {each for path in wrong for each in _up_from(path)}
    return [
        (path, mistake)
        for path, mistake in findings
        if not any(each in above or any(outer in wrong for outer in _up_from(each)) for each in (path, *mistake.rests_on))
    ]


def _up_from(path: str) -> t.Iterator[str]:
    """A path, and the paths of all that it is in."""
    while path:
        yield path
        path = _outer(path)


def _outer(path: str) -> str:
    return path[: max(path.rfind("."), path.rfind("["), 0)]


class JobErrors(Exception):
    """Every error of every job file of a run, in the order of the files."""

    def __init__(self, errors: t.Iterable[Problem], warnings: t.Iterable[Problem] = ()) -> None:
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)
        shown = [str(error) for error in self.errors[:MOST]]
        more = len(self.errors) - len(shown)
        super().__init__("\n".join([*shown, *([f"and {more} more error{'s' * (more > 1)}"] if more else [])]))


def position_of(positions: t.Mapping[str, Position], path: str, default: Position) -> Position:
    """Line and column of a path, or of the nearest thing above it that is written in the file."""
    while path and path not in positions:
        path = _outer(path)
    return positions.get(path, default)


def child(path: str, key: str) -> str:
    """The path of a key below ``path``: ``spec.env.HOME``, ``spec.env["A b"]``."""
    if key.isascii() and key.replace("_", "a").replace("-", "a").isalnum():
        return f"{path}.{key}" if path else key
    return f"{path}[{quoted(key)}]"


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would act on or hide (control characters, direction marks)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\0": "\\0"}.get(char) or (f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")


def quoted(text: str, limit: int = 60) -> str:
    """The text in quotes, on one line, cut where it is long."""
    return f'"{printable(text if len(text) <= limit else text[:limit] + "...")}"'


def nearest(word: str, known: t.Iterable[str], alike: float = ALIKE) -> str | None:
    """The known word that was probably meant; letters count more than their case."""
    by_fold = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_fold, n=1, cutoff=alike)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, known: t.Iterable[str]) -> str:
    """The remedy for a word that resembles one of those that are known; empty where it does not."""
    close = nearest(word, known)
    return f"did you mean {close}?" if close else ""


def few(names: t.Sequence[str], limit: int) -> str:
    """``a, b and 3 more``: names with commas between them; of more than ``limit``, the first ones and how many more."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def listed(words: t.Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final
