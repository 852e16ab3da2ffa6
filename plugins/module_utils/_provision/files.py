# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories of root's that a group may read: compared, and put in place with owner and mode by one rename."""

from __future__ import annotations

import contextlib
import grp
import os
import re
import stat
import tempfile
import typing as t

if t.TYPE_CHECKING:
    from .module import Module


class FileError(Exception):
    """A group does not exist, or a mode is none. The text is for the user."""


def options(mode: str) -> t.Dict[str, t.Any]:
    """What modules are told of a file or directory of root's, for AnsibleModule. ``mode``: the default."""
    return {
        "path": {"type": "path", "required": True},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": mode},
    }


def octal(mode: str) -> int:
    """A mode of up to four octal digits as a number."""
    if not re.fullmatch("[0-7]{3,4}", mode):
        raise FileError(f'mode is {mode!r}, but must be three or four octal digits in quotes, such as "0644"')
    return int(mode, 8)


def read(path: str) -> str | None:
    """Return a file's text; None if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def owned(path: str, group: str, mode: int) -> bool:
    """Return whether what is at the path is root's, of this group and mode. Raises FileNotFoundError, FileError."""
    status = os.stat(path)
    return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, _gid(group), mode)


def own(path: str, group: str, mode: int) -> None:
    """Make it root's, of this group and mode. Never is it open to more than before and after."""
    # The owner first: whoever had it could open it to others again.
    os.chown(path, 0, _gid(group))
    os.chmod(path, mode)


class Wanted(t.NamedTuple):
    """A file that is to be at a path."""

    path: str
    text: str
    group: str
    mode: int


def write(module: Module, wanted: t.Sequence[Wanted], valid: t.Callable[[t.Mapping[str, str]], None] | None = None) -> None:
    """Put files in place, in this order. ``valid`` is given, by their paths, where the new texts are before any of them is in its place,
    and raises what is wrong with them.
    """
    beside: t.Dict[str, str] = {}
    try:
        for file in wanted:
            beside[file.path] = _beside(file)
        if valid is not None:
            valid(beside)
        for path, temporary in list(beside.items()):
            # Not Ansible's atomic_move, which opens a new file to others for a moment.
            os.rename(temporary, path)
            del beside[path]
            module.set_default_selinux_context(path, False)
    finally:
        for temporary in beside.values():
            os.unlink(temporary)


def _beside(file: Wanted) -> str:
    """Write a file beside its place, and return where."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(file.path), prefix=f".{os.path.basename(file.path)}-")
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(file.text)
            stream.flush()
            os.fsync(stream.fileno())
        own(temporary, file.group, file.mode)
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def add(temporary: str, path: str) -> None:
    """Give a file this name, too. What has the name already stays: of two runs at once, both go on with what the first has made."""
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)


def make_directory(module: Module, path: str, group: str, mode: int) -> None:
    """Make a directory that does not exist, or give an existing one its owner and mode."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    own(path, group, mode)
    module.set_default_selinux_context(path, False)


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise FileError(f"there is no group {group} on this machine") from None
