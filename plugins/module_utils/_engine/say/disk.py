# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a message names a file system, and a number of bytes."""

from __future__ import annotations

MOUNTS = "/proc/self/mountinfo"
UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def mount_point(path: str) -> str:
    """Where the file system of an absolute path is mounted; a path that is not there yet has that of what is above it."""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
        # proc(5): the fifth field, with a space, tab, newline or backslash in it as an octal escape.
        points = [line.split()[4] for line in stream]
    above = [point for point in points if point == "/" or f"{path}/".startswith(f"{point}/")]
    return max(above, key=len, default="/")


def size(count: int) -> str:
    """A number of bytes; never rounded down to nothing."""
    for unit, factor in UNITS:
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
