# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that robots have named where those that were chosen for them were taken, kept on the controller.

A robot knows its ports itself: a file that is lost costs one more round trip, and changes no port.
"""

from __future__ import annotations

import pathlib
import typing as t

from . import files

# {group id: {what the port is called: its number}}
Numbers = dict[str, dict[str, int]]


class Ports(t.NamedTuple):
    """The files, in the directory of the controller's state (`key.home`)."""

    directory: pathlib.Path

    def read(self, host: str) -> Numbers:
        """All that the robot has named."""
        found = files.read(files.path(self.directory, "ports", host))
        return found if _sound(found) else {}

    def learn(self, host: str, numbers: Numbers) -> None:
        """Remember the ports of some groups. Raises `KeyProblem` where there is no place for them."""
        files.write(files.path(self.directory, "ports", host), {**self.read(host), **numbers}, f"the ports of {host}")


def _sound(found: t.Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(called, dict) and all(_is_number(number) for number in called.values()) for called in found.values()
    )


def _is_number(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
