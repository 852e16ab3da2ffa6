# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a template: the line, and never a value."""

from __future__ import annotations

import typing as t


class Fault(Exception):
    """A mistake in a template, or something that it asks for and cannot get. `remedy` is the way out, if there is one. `also`: what else
    is wrong.
    """

    def __init__(self, line: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line, self.remedy = line, remedy
        self.also: list[Fault] = []


def together(faults: t.Iterable[Fault]) -> Fault:
    """All of them as one, by their lines, each once."""
    found = {(fault.line, str(fault)): fault for fault in faults}
    first, *others = sorted(found.values(), key=lambda fault: fault.line)
    first.also += others
    return first


class Refusal(Exception):
    """The same from a function, which does not know its line."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
