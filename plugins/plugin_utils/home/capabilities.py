# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each robot reported of itself when it was last asked, kept on the controller: one small file per robot.

These are assumptions. A request carries them and the robot says when they are wrong, so a file that is lost or out of date
costs one more round trip and never gives a wrong result.
"""

from __future__ import annotations

import pathlib
import re
import typing as t

from . import files

# What the compiler works with, and what it looks like.
FORMS = {"systemd": r"[1-9][0-9]{1,3}", "cgroup": "[12]"}
MOST, LONGEST = 200, 500


class OddCapabilities(Exception):
    """A robot reported what no robot can be; the text says what."""


class Capabilities(t.NamedTuple):
    """The cache, in the directory of the controller's state (`key.home`)."""

    directory: pathlib.Path

    def _path(self, host: str) -> pathlib.Path:
        return files.path(self.directory, "capabilities", host)

    def read(self, host: str) -> dict[str, str] | None:
        """The robot's capabilities by name; None if the robot was never asked, or answered oddly."""
        found = files.read(self._path(host))
        return None if odd(found) else found

    def write(self, host: str, capabilities: t.Mapping[str, str]) -> None:
        """Remember them. Raises `OddCapabilities` for what no robot can have, and `KeyProblem` where there is no place for them."""
        fault = odd(capabilities)
        if fault:
            raise OddCapabilities(f"{fault}; this is not remembered: find out why the robot says so, and run again")
        files.write(self._path(host), capabilities, f"what {host} can do")


def odd(capabilities: t.Any) -> str:
    """What is wrong with what a robot reports of itself, which may be anything; empty where nothing is."""
    if not isinstance(capabilities, dict) or len(capabilities) > MOST:
        return "the robot reports its capabilities in a form that this version does not understand"
    for name, value in capabilities.items():
        plain = isinstance(value, str) and value.isprintable() and len(value) <= LONGEST and name.isprintable() and len(name) <= LONGEST
        if not plain or not re.fullmatch(FORMS.get(name, ".*"), value):
            return f"the robot reports {name[:LONGEST]!r} as {str(value)[:LONGEST]!r}"
    return "" if "systemd" in capabilities else "the robot does not report its version of systemd"
