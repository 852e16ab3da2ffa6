# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a downloaded program trustworthy: published checksums, one member of an archive, a record beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_CHUNK = 1 << 20


class ReleaseError(Exception):
    """The text is for the user."""


def published(text, name):
    """Return the SHA-256 that a release's checksum file gives for a file, or None.

    Understood are the lines of sha256sum (``<hex>  name``, ``<hex> *./name``), also inside a clear-signed message, and a
    file that holds nothing but the digest.
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


def sha256(path):
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def copy(source, target):
    """Copy an open file to a path, and have it on the disk before returning."""
    with open(target, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def extract(archive, member, target):
    """Write one regular file of a tar archive to a path; nothing else of the archive touches the disk."""
    try:
        with tarfile.open(archive) as tar:
            source = tar.extractfile(member)
            if source is None:
                raise ReleaseError(f"{member} in the archive is no file")
            copy(source, target)
    except KeyError:
        raise ReleaseError(f"the archive holds no {member}") from None
    except (tarfile.TarError, EOFError) as error:
        raise ReleaseError(f"the archive cannot be read: {error}") from None


class Record:
    """What is known of an installed program: a hidden JSON file beside it, replaced by rename."""

    def __init__(self, program_path):
        directory, name = os.path.split(program_path)
        self.path = os.path.join(directory, f".{name}.json")
        self._program_path = program_path

    def read(self):
        """Return the record, or {} when the program is missing, is another than was installed, or was never recorded."""
        try:
            with open(self.path, encoding="utf-8") as file:
                record = json.load(file)
            if isinstance(record, dict) and record.get("program") == sha256(self._program_path):
                return record
        except (OSError, ValueError):
            pass
        return {}

    def write(self, source, download, program):
        """Keep where the program came from and the digests of the download and of the program."""
        temporary = self.path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"source": source, "download": download, "program": program}, file)
        os.rename(temporary, self.path)
