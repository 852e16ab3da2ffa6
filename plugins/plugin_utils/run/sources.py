# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of job files: of a directory all job files; vaulted files are decrypted, `*.j2` are rendered."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

from ..job.errors import JobErrors, Problem
from ..job.read.source import Source

SUFFIXES = (".yml", ".yaml", ".json")
NO_JOB = "no job given: add -e job=<file or directory>; separate several with commas"
WANTED = "job= takes a file or a directory; separate several with commas"
VAULT_HEADER = b"$ANSIBLE_VAULT;"
# More than any job file needs, even encrypted: the reader of YAML has its own, smaller limit.
MAX_BYTES = 8 * 1024 * 1024


class Unreadable(Exception):
    """A file that cannot be opened, decrypted or rendered: why, what to do, and the line where it is known."""

    def __init__(self, message: str, remedy: str = "", line: int = 0):
        super().__init__(message)
        self.remedy, self.line = remedy, line

    def problem(self, name: str) -> Problem:
        return Problem(name, str(self), self.remedy, line=self.line)


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
    first: dict[tuple[int, int], str] = {}
    for name, path in _named(job, directory, problems):
        try:
            read_bytes, file = content(name, path)
            other = first.setdefault(file, name)
            if other != name or name in (source.name for source in sources):
                raise Unreadable(f"is given twice{'' if other == name else f', also as {other}'}", "name it once")
            sources.append(_source(name, path, read_bytes, readers))
        except Unreadable as error:
            problems.append(error.problem(name))
    if problems:
        raise JobErrors(problems)
    return sources


def _named(job: t.Sequence[str], directory: pathlib.Path, problems: list[Problem]) -> t.Iterator[tuple[str, pathlib.Path]]:
    """Each job file as the user would name it, and where it is."""
    for given in job:
        try:
            yield from _files(given, directory)
        except Unreadable as error:
            problems.append(error.problem(given))


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


def content(
    name: str, path: pathlib.Path, most: int = MAX_BYTES, wanted: str = WANTED, smaller: str = "split it into several job files"
) -> tuple[bytes, tuple[int, int]]:
    """A file's bytes, and which file it is; raises `Unreadable` where there are more than `most`. A pipe or a device is not read: it may
    have no end, or never begin.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for who writes into it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("is not a regular file", wanted)
            found = file.read(most + 1)
    except OSError as error:
        where = "" if pathlib.PurePath(name).is_absolute() else f" (looked for in {path.parent})"
        raise Unreadable(f"{error.strerror}{where}") from None
    if len(found) > most:
        raise Unreadable(f"is longer than {most // 2**20} MiB", smaller)
    return found, (status.st_dev, status.st_ino)


def _source(name: str, path: pathlib.Path, content: bytes, readers: Readers) -> Source:
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
