# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of contents, keyed with a secret of the robot.

Keyed, because the ledger has digests of files that contain secrets: without the key a guess at a password cannot be
tried against them.
"""

from __future__ import annotations

import os

from ..system import files

try:
    # Where hashlib has it from too; but hashlib loads all of OpenSSL beside it, a sixth of what an unchanged deploy costs a robot.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


class Digester:
    """``digester(content)`` is the digest of bytes or text, in 32 hexadecimal digits."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, content: str | bytes) -> str:
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        return blake2b(content, key=self._key, digest_size=16).hexdigest()


KEY_BYTES = 32
# The copy has a checksum behind the key: where the two differ, it is known which is right.
SUM_BYTES = 8


def load(path: str) -> Digester:
    """The robot's digester; where the robot has no key yet, one that lasts as long as this process."""
    return Digester(_of_copy(path) or _key(path) or os.urandom(KEY_BYTES))


def create(path: str) -> list[str]:
    """Make the robot's key at the first use; kept for good, and twice, since every digest on the robot depends on it.

    Returns what was wrong with a key that was there before.
    """
    key, copy = _key(path), _of_copy(path)
    if copy is None:
        used = os.path.exists(path) or os.path.exists(path + files.COPY)
        files.replace(path, key or os.urandom(KEY_BYTES))
        files.replace(path + files.COPY, _with_sum(_read(path)))
        return (
            [f"{path} and its copy were damaged; a new key was made, so every task restarts the next time its job is deployed"]
            if used and not key
            else []
        )
    if key != copy:
        files.replace(path, copy)
        return [f"{path} was damaged, and was restored from its copy"]
    return []


def _key(path: str) -> bytes | None:
    found = _read(path)
    return found if len(found) == KEY_BYTES else None


def _of_copy(path: str) -> bytes | None:
    found = _read(path + files.COPY)
    key = found[:KEY_BYTES]
    return key if len(key) == KEY_BYTES and found == _with_sum(key) else None


def _with_sum(key: bytes) -> bytes:
    return key + blake2b(key, digest_size=SUM_BYTES).digest()


def _read(path: str) -> bytes:
    """What is in a file; nothing where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(4096)
    except OSError:
        return b""
