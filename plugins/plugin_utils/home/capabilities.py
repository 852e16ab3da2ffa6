# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each robot reported of itself when it was last asked, kept on the controller: one small file per robot.

These are assumptions. A request carries them and the robot says when they are wrong, so a file that is lost or out of date
costs one more round trip and never gives a wrong result.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import typing as t
import urllib.parse


class Capabilities(t.NamedTuple):
    """The cache, in the directory of the controller's state (`key.home`)."""

    directory: pathlib.Path

    def _path(self, host: str) -> pathlib.Path:
        return self.directory / "capabilities" / f"{urllib.parse.quote(host, safe='')}.json"

    def read(self, host: str) -> dict[str, str] | None:
        """The robot's capabilities by name; None if the robot was never asked."""
        try:
            found = json.loads(self._path(host).read_bytes())
        except (OSError, ValueError):
            return None
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return found
        return None

    def write(self, host: str, capabilities: t.Mapping[str, str]) -> None:
        path = self._path(host)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{secrets.token_hex(8)}")
        beside.write_text(json.dumps(dict(sorted(capabilities.items()))), encoding="utf-8")
        os.replace(beside, path)
