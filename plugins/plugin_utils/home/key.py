# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the controller's state, and its key: keyed digests, which reveal nothing of secrets, and sealed texts.

If the digest of a plan with a password were a plain hash, the password could be guessed from it offline. With a key of 32
random bytes that never leave the controller it cannot. Another controller has another key: its digests differ, so it sends
the plan and the robot compares contents.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import marshal
import os
import pathlib
import secrets
import stat
import typing as t
import zlib

if t.TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_BYTES = 32

# The last version of marshal's format in which equal values give equal bytes: later ones also tell which of them are one object.
# Should a Python write it otherwise, digests differ once, and the next run compares every robot in full.
_SAME_BYTES = 2


class KeyProblem(Exception):
    """The controller's key cannot be used; the text says what to do."""


class Key(t.NamedTuple):
    """The controller's key: what only this controller can compute and read."""

    secret: bytes

    def digest(self, value: t.Any) -> str:
        """HMAC-SHA256 of a value of plain types, in hexadecimal. It is the same for values whose keys come in the same order."""
        return hmac.new(self.secret, _packed(value, _SAME_BYTES), hashlib.sha256).hexdigest()

    def seal(self, value: t.Any) -> str:
        """A value of plain types as a text that may stand in a variable of the run and be printed: only this controller can read it.

        A run seals a plan for each robot that it reaches, so this has to be fast. Whoever opens the text is a worker of the same
        run, hence the same Python.
        """
        return _fernet(self.secret).encrypt(zlib.compress(_packed(value, marshal.version), 2)).decode("ascii")

    def unseal(self, token: str) -> t.Any:
        """What `seal` was given; raises `KeyProblem` for a text that another key sealed."""
        sealing = _fernet(self.secret)
        from cryptography.fernet import InvalidToken

        try:
            return marshal.loads(zlib.decompress(sealing.decrypt(token.encode("ascii"))))
        except (InvalidToken, UnicodeEncodeError) as error:
            raise KeyProblem("a plan of this run was encrypted with another controller key; run again") from error


def home() -> pathlib.Path:
    """The directory of the controller's state: `$K8S4R_HOME`, else `k8s4r` in the user's configuration directory."""
    chosen = os.environ.get("K8S4R_HOME")
    try:
        if chosen:
            return pathlib.Path(chosen).expanduser().absolute()
        return pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser().absolute() / "k8s4r"
    except RuntimeError:
        raise KeyProblem("this user has no home directory on the controller; set K8S4R_HOME to a directory of your own") from None


def controller_key(directory: pathlib.Path | None = None) -> Key:
    """The controller's key, made at first use; two first runs at once agree on one."""
    path = (directory or home()) / "key"
    try:
        return _read(path)
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise unusable(f"the controller's key {path}", error) from error


def _read(path: pathlib.Path) -> Key:
    # Whatever else may be there, opening a pipe must not wait for its other end.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise KeyProblem(f"{path}: the controller's key is not a file; remove what is there, or set K8S4R_HOME to another directory")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise KeyProblem(
                f"{path}: other users may read the controller's key; remove the file (the next run then compares every robot in full)"
            )
        secret = file.read(KEY_BYTES + 1)
    if len(secret) != KEY_BYTES:
        raise KeyProblem(
            f"{path}: the controller's key is not {KEY_BYTES} bytes long; remove the file (the next run then compares every robot in full)"
        )
    return Key(secret)


def _make(path: pathlib.Path) -> Key:
    temporary = path.with_name(f".key.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        try:
            # A link appears whole and refuses to replace: the loser of a race reads the winner's key.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return _read(path)
    except OSError as error:
        raise unusable(f"the controller's key {path}", error) from error


def unusable(what: str, error: OSError) -> KeyProblem:
    """The error for a place where the controller cannot keep what it must."""
    return KeyProblem(f"{what}: {error.strerror}; set K8S4R_HOME to a directory of your own")


def _packed(value: t.Any, version: int) -> bytes:
    """A value of plain types as bytes, by `marshal`: it takes a third of the time of JSON, and this is done for each robot of a run."""
    try:
        return marshal.dumps(value, version)
    except ValueError:
        # Texts from the command line are of a class of Ansible's own, which marshal refuses; JSON makes them plain.
        return marshal.dumps(json.loads(json.dumps(value)), version)


@functools.lru_cache(maxsize=1)
def _fernet(secret: bytes) -> Fernet:
    try:
        from cryptography import fernet
    except ImportError:
        raise KeyProblem("the controller's Python lacks the package cryptography, a part of ansible-core: reinstall ansible-core") from None
    return fernet.Fernet(base64.urlsafe_b64encode(hmac.new(secret, b"k8s4r: sealing", hashlib.sha256).digest()))
