# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Supplies one robot with the artifacts of its plan: all that it lacks of them is downloaded here, and sent."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import typing as t

from ..home import key
from . import plans, sending
from .refused import Refused
from .store import Away, Found, Store

if t.TYPE_CHECKING:
    from ...module_utils._engine.fetch.shapes import Source
    from ...module_utils._engine.plan import RobotPlan

# Seconds between two words of what takes long.
SILENT = 5.0


class Supply:
    """`said`: what a check has to say, which asks nobody.

    `cache`: the directory of the controller's downloads, None for the usual one. `began` and `refresh` are of the run.
    `everything`: whatever the robot would download, too, and not only what is the controller's own.
    """

    def __init__(
        self, cache: pathlib.Path | None, began: float, refresh: bool, show: t.Callable[[str], None], everything: bool = True
    ) -> None:
        self.said: list[str] = []
        self._everything = everything
        self._show = show
        self._shown = time.monotonic()
        self._found: list[Found] = []
        directory = (cache or _usual()).expanduser() / "artifacts"
        self._store = Store(directory, key.controller_key().digest, began, refresh, self._tell, lambda text: show(f"controller: {text}"))

    def known(self, plan: RobotPlan) -> RobotPlan:
        """The plan with what is known of its artifacts: in check mode nothing is downloaded, and nothing sent. Raises
        `Refused`.
        """

        problems: list[str] = []

        def find(source: Source, where: str) -> str:
            try:
                sha256, said = self._store.known(source)
            except Away as away:
                problems.append(f"{where}: {source['shown']}: the controller cannot fetch it: {away}")
                return ""
            self.said += [f"controller: artifact {text}" for text in said]
            return sha256

        supplied = plans.supplied(plan, find, self._everything)
        if problems:
            raise Refused(list(dict.fromkeys(problems)))
        return supplied

    def send(self, plan: RobotPlan, robot: str, call: sending.Call) -> RobotPlan:
        """The plan, all whose artifacts the robot has then. Raises `Refused`, and whatever `call` raises."""
        problems: list[str] = []
        self._found.clear()
        with contextlib.ExitStack() as opened:
            files: dict[str, tuple[Found, str]] = {}

            def find(source: Source, where: str) -> str:
                try:
                    found = self._store.find(source)
                except Away as away:
                    problems.append(f"{where}: {source['shown']}: the controller cannot fetch it: {away}")
                    return ""
                opened.callback(os.close, found.descriptor)
                files[found.sha256] = found, source["shown"]
                self._found.append(found)
                return found.sha256

            supplied = plans.supplied(plan, find, self._everything)
            if problems:
                raise Refused(list(dict.fromkeys(problems)))
            for found, shown in files.values():
                self._send(found, f"{robot}: {shown} is sent", call)
        return supplied

    def forget(self) -> None:
        """The robot has refused all this: perhaps it could not be unpacked."""
        for found in self._found:
            self._store.forget(found)

    def _send(self, found: Found, what: str, call: sending.Call) -> None:
        try:
            sending.send(found, call, lambda here: self._tell(f"{what}: {here >> 20} of {found.size >> 20} MiB"))
        except sending.Unsent as unsent:
            raise Refused([str(unsent)]) from None

    def _tell(self, text: str) -> None:
        """Say how far it is, now and then."""
        if time.monotonic() - self._shown >= SILENT:
            self._show(text)
            self._shown = time.monotonic()


def _usual() -> pathlib.Path:
    """As the roles have it."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "k8s4r"
