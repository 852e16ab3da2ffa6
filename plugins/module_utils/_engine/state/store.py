# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents by digest: those of the last good releases, for rolling back, and of staged ones. Only root can read them."""

from __future__ import annotations

import os

from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..system.observe import Digest


class Store:
    def __init__(self, directory: str, digest: Digest) -> None:
        self.directory = directory
        self.digest = digest

    def path(self, digest: str) -> str:
        return f"{self.directory}/{digest}"

    def put(self, content: bytes) -> str:
        """Keep bytes; their digest."""
        digest = self.digest(content)
        if not os.path.exists(self.path(digest)):
            files.replace(self.path(digest), content)
        return digest

    def read(self, digest: str) -> bytes:
        with open(self.path(digest), "rb") as stream:
            return stream.read()
