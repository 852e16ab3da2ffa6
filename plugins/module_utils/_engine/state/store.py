# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents by digest: those of the last good releases, for rolling back, and of staged ones. Only root can read them."""

from __future__ import annotations

from ..system import files
from .formats import Damaged

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
        if not self.has(digest, content):
            files.replace(self.path(digest), content)
        return digest

    def has(self, digest: str, content: bytes) -> bool:
        """Whether these bytes are kept, and undamaged."""
        try:
            return self._bytes(digest) == content
        except OSError:
            return False

    def read(self, digest: str) -> bytes:
        """Raises `Damaged` where it has other bytes than it was given."""
        content = self._bytes(digest)
        if self.digest(content) != digest:
            raise Damaged(self.path(digest), "it has other content than it was given")
        return content

    def _bytes(self, digest: str) -> bytes:
        with open(self.path(digest), "rb") as stream:
            return stream.read()
