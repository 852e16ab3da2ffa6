# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at a path now, in the form in which resources have what should be."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # Takes bytes or text; its digest, in hexadecimal.
    Digest = t.Callable[[t.Union[str, bytes]], str]
    # What is at a place, or should be there: what differs is by name.
    State = dict[str, t.Union[str, bool, None]]


class Observer:
    """Looks at paths; the names of users and groups are looked up once.

    Names are compared, not numbers: the plan knows users that the robot has not got yet.
    """

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def path(self, path: str) -> State | None:
        """Type, owner, group, mode and content (its digest) or target of what is at a path; None where nothing is."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode):
            return {"type": "link", "target": os.readlink(path)}
        seen: State = {
            "owner": self._user(found.st_uid),
            "group": self._group(found.st_gid),
            "mode": f"{stat.S_IMODE(found.st_mode):04o}",
        }
        if stat.S_ISDIR(found.st_mode):
            return {**seen, "type": "directory"}
        if stat.S_ISREG(found.st_mode):
            return {**seen, "type": "file", "content": self.digest(read(path))}
        return {**seen, "type": "other"}

    def _user(self, number: int) -> str:
        if number not in self._users:
            import pwd

            try:
                self._users[number] = pwd.getpwuid(number).pw_name
            except KeyError:
                self._users[number] = str(number)
        return self._users[number]

    def _group(self, number: int) -> str:
        if number not in self._groups:
            import grp

            try:
                self._groups[number] = grp.getgrgid(number).gr_name
            except KeyError:
                self._groups[number] = str(number)
        return self._groups[number]


def read(path: str) -> bytes:
    """The bytes of a file; a link in its place is an error."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
        return stream.read()
