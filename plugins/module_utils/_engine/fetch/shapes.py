# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An artifact as the compiler describes it, and as it is put in place."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class Source(t.TypedDict):
        """One artifact as the compiler describes it."""

        get: str  # a key of GETTERS
        url: str  # without credentials
        user: str
        password: str
        headers: dict[str, str]
        shown: str  # how messages name it: without anything secret
        ref: str
        depth: int
        key: str  # of ssh
        region: str  # of s3
        checksum: str  # algorithm:digest; empty for none
        archive: str  # its format; empty if it is not unpacked
        subdir: str
        name: str  # what a single file is called
        mode: str  # any, file or dir
        to: str  # an absolute path on the robot

    class Item(t.TypedDict):
        """One artifact as it is put in place. Nothing in it is secret."""

        sha256: str
        archive: str
        subdir: str
        name: str
        mode: str
        to: str

    # Makes sure that the disk has room for so many more bytes.
    Room = t.Callable[[int], None]
    # Says how far the download is.
    Tell = t.Callable[[str], None]
