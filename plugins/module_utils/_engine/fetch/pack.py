# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as a tar, which is the same byte for byte if the content is."""

from __future__ import annotations

import hashlib
import os
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


def tree(directory: str, path: str, when: int) -> str:
    """Write everything in a directory except `.git` into a tar; returns its SHA-256. ``when``: the modification time of every entry."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = when
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with open(path, "wb") as stream:
        digesting = _Digesting(stream)
        # tarfile only writes to its stream.
        stream_of: t.Any = digesting
        with tarfile.open(fileobj=stream_of, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for at, directories, names in os.walk(directory):
                directories[:] = sorted(name for name in directories if name != ".git")
                links = [name for name in directories if os.path.islink(f"{at}/{name}")]
                for name in sorted([*directories, *(name for name in names if name != ".git")]):
                    full = f"{at}/{name}"
                    tar.add(full, arcname=os.path.relpath(full, directory), recursive=False, filter=plain)
                directories[:] = [name for name in directories if name not in links]
    return digesting.digest.hexdigest()


class _Digesting:
    def __init__(self, stream: t.BinaryIO) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.stream.write(content)
