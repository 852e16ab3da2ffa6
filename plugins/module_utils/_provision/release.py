# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verifying a downloaded program takes: published checksums, one member of an archive, a record beside the program."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import typing as t

from .module import place

if t.TYPE_CHECKING:
    from .module import Module

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_CHUNK = 1 << 20


class ReleaseError(Exception):
    """The text is for the user."""


def published(text: str, name: str) -> str | None:
    """Return the SHA-256 that a release's checksum file gives for a file, or None.

    Reads lines as sha256sum writes them (``<hex>  name``, ``<hex> *./name``), also inside a clear-signed message, and a file
    that holds nothing but the digest.
    """
    words = text.split()
    if len(words) == 1 and _DIGEST.fullmatch(words[0]):
        return words[0].lower()
    for line in text.splitlines():
        digest, _space, listed = line.partition(" ")
        listed = listed.strip().lstrip("*")
        if _DIGEST.fullmatch(digest) and os.path.basename(listed) == name:
            return digest.lower()
    return None


def sha256(path: str) -> str:
    """Return the SHA-256 of a file, in lower-case hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def copy(source: t.IO[bytes], target: str) -> None:
    """Copy an open file to a path, and return when it is on the disk."""
    with open(target, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def extract(archive: str, member: str, target: str) -> None:
    """Write one regular file of a tar archive to a path. Nothing else of the archive is written.

    The archive is read once, and no further than that file: to look members up by name is to unpack all of it first.
    """
    try:
        with tarfile.open(archive, "r|*", bufsize=_CHUNK) as tar:
            found = next((entry for entry in tar if entry.name == member), None)
            if found is None:
                raise ReleaseError(f"the archive does not contain {member}")
            source = tar.extractfile(found) if found.isreg() else None
            if source is None:
                raise ReleaseError(f"{member} in the archive is not a file")
            copy(source, target)
    except (tarfile.TarError, EOFError) as error:
        raise ReleaseError(f"the archive cannot be read: {error}") from None


class Record:
    """Where an installed program came from: a hidden JSON file beside it."""

    def __init__(self, program_path: str) -> None:
        directory, name = os.path.split(program_path)
        self.path = os.path.join(directory, f".{name}.json")
        self._program_path = program_path

    def read(self) -> t.Dict[str, str]:
        """Return the record, or {} when the program is missing, is not the one that was installed, or was never recorded."""
        # The machine's own program, whose bytes may be the same today.
        if os.path.islink(self._program_path):
            return {}
        try:
            with open(self.path, encoding="utf-8") as file:
                record = json.load(file)
            if isinstance(record, dict) and record.get("program") == sha256(self._program_path):
                return record
        except (OSError, ValueError):
            pass
        return {}

    def write(self, module: Module, source: str, download: str, program: str) -> None:
        """Keep where the program came from, and the digests of the download and of the program."""
        temporary = self.path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"source": source, "download": download, "program": program}, file)
        place(module, temporary, self.path, "0644")
