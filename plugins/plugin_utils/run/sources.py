# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of job files: of a directory all job files; vaulted files are decrypted, `*.j2` are rendered."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ..job.errors import JobErrors, Problem
from ..job.read.source import Source

SUFFIXES = (".yml", ".yaml", ".json")
NO_JOB = "no job given: add -e job=<file or directory>; separate several with commas"
WANTED = "job= takes a file or a directory; separate several with commas"
VAULT_HEADER = b"$ANSIBLE_VAULT;"


class Unreadable(Exception):
    """A file that cannot be opened, decrypted or rendered; the text says why."""


class Readers(t.NamedTuple):
    """What Ansible does for the reader; both raise `Unreadable`.

    `decrypt(path)` returns the text of a file that is encrypted completely. `render(text, path)` renders Jinja.
    """

    decrypt: t.Callable[[str], str]
    render: t.Callable[[str, str], str]


def read(job: t.Sequence[str], readers: Readers, directory: pathlib.Path) -> list[Source]:
    """The texts of the files that `job` names, in that order, those of a directory by name.

    Relative paths count from `directory`, where the command was typed. Raises `JobErrors` with every file's problem.
    """
    sources: list[Source] = []
    problems: list[Problem] = []
    for given in job:
        try:
            sources += [_source(name, path, readers) for name, path in _files(given, directory)]
        except Unreadable as error:
            problems.append(Problem(given, str(error)))
    if problems:
        raise JobErrors(problems)
    return sources


def _files(given: str, directory: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    """Each job file as the user would name it, and where it is."""
    if not given or "\0" in given or not _encodes(given):
        raise Unreadable(f"this is not a path; {WANTED}")
    path = directory / os.path.expanduser(given)
    if not os.path.isdir(path):
        return [(given, path)]
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError as error:
        raise Unreadable(f"{error.strerror}") from None
    found = [name for name in names if name.removesuffix(".j2").endswith(SUFFIXES)]
    if not found:
        raise Unreadable(f"the directory has no job file ({', '.join(f'*{suffix}' for suffix in SUFFIXES)}, or one of these with .j2)")
    return [(str(pathlib.PurePath(given) / name), path / name) for name in found]


def _source(name: str, path: pathlib.Path, readers: Readers) -> Source:
    try:
        content = path.read_bytes()
    except OSError as error:
        where = "" if pathlib.PurePath(name).is_absolute() else f" (looked for in {path.parent})"
        raise Unreadable(f"{error.strerror}{where}") from None
    vaulted = content.startswith(VAULT_HEADER)
    rendered = name.endswith(".j2")
    if not rendered:
        return Source(name, _decrypted(content, path, readers) if vaulted else content, vaulted=vaulted)
    try:
        text = _decrypted(content, path, readers) if vaulted else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8; save it as UTF-8") from None
    return Source(name, readers.render(text, str(path)), rendered=True, vaulted=vaulted)


def _decrypted(content: bytes, path: pathlib.Path, readers: Readers) -> str:
    """The text of a vaulted file. Where bytes are not UTF-8, before decryption or after, Ansible writes halves of surrogate pairs."""
    if not content.isascii():
        raise Unreadable("cannot be decrypted (it starts like a vaulted file but is not ASCII); encrypt it again, or remove the first line")
    text = readers.decrypt(str(path))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unreadable("is not UTF-8 once it is decrypted; save it as UTF-8 and encrypt it again") from None
    return text


def _encodes(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True
