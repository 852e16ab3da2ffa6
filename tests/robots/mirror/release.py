# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the releases of both projects have in common: where they are published, and how they are checked."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

UPSTREAM = "https://github.com"


@contextlib.contextmanager
def arriving(folder: Path, *names: str) -> Iterator[Path]:
    """A scratch directory, out of which these files come into ``folder`` when all went well: the last one last."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        yield Path(scratch)
        for name in names:
            Path(scratch, name).replace(folder / name)


def download(path: str, target: Path) -> bool:
    """Fetch a published file; False where the publisher cannot be reached, as on a machine that is closed in."""
    try:
        with urllib.request.urlopen(f"{UPSTREAM}/{path}", timeout=10) as reply, target.open("wb") as output:
            shutil.copyfileobj(reply, output)
    except (urllib.error.URLError, OSError):
        return False
    return True


def sha256(path: Path) -> str:
    """The file's digest, as checksum files write it."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def listed(checksums: Path, name: str) -> str | None:
    """The digest that a checksum file lists for ``name``."""
    for line in checksums.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*").rpartition("/")[2] == name:
            return words[0]
    return None
