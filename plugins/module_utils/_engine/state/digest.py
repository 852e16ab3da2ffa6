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


def load(path: str) -> Digester:
    """The robot's digester; where the robot has no key yet, one that lasts as long as this process."""
    try:
        with open(path, "rb") as stream:
            key = stream.read()
    except FileNotFoundError:
        key = b""
    return Digester(key if len(key) == 32 else os.urandom(32))


def create(path: str) -> None:
    """Make the robot's key at the first use; kept for good, since every digest on the robot depends on it."""
    try:
        if os.stat(path).st_size == 32:
            return
    except FileNotFoundError:
        pass
    files.replace(path, os.urandom(32))
