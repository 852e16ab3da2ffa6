# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What large files of the controller's have in them, kept as long as nobody has written to them: a run that changes nothing reads none."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
import time
import typing as t

from . import files

# Nanoseconds. Somebody who has written to a file just now may do so once more without its times showing it.
SETTLED = 2 * 10**9


class Digests(t.NamedTuple):
    """The files, in the directory of the controller's state (`key.home`)."""

    directory: pathlib.Path

    def of(self, path: pathlib.Path) -> str:
        """The SHA-256 of a file. Raises `OSError`, and `ValueError` for what is no file."""
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            state = os.fstat(stream.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise ValueError("is no file")
            known = files.path(self.directory, "digests", hashlib.sha256(os.fsencode(path.absolute())).hexdigest())
            seen = [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
            found = files.read(known)
            if isinstance(found, dict) and found.get("seen") == seen and isinstance(found.get("sha256"), str):
                return str(found["sha256"])
            digest = hashlib.sha256()
            for piece in iter(lambda: stream.read(1 << 20), b""):
                digest.update(piece)
        if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > SETTLED:
            files.write(known, {"seen": seen, "sha256": digest.hexdigest()}, f"the digest of {path}")
        return digest.hexdigest()
