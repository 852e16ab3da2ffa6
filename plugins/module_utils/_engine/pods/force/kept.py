# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at the walls leaves for the next one, and how it has many things done by one program."""

from __future__ import annotations

from ... import plan
from ...say import jsontext
from ...system import command, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

STATE = plan.RUNTIME + "/walls"


def read(name: str) -> t.Any:
    try:
        with open(f"{STATE}/{name}", encoding="utf-8") as stream:
            return jsontext.loads(stream.read())
    except (OSError, ValueError):
        return None


def keep(name: str, what: object) -> None:
    _have(f"{STATE}/{name}", jsontext.dumps(what).encode("utf-8"))


def batch(program: str, lines: t.Sequence[str], called: str = "", options: t.Sequence[str] = ()) -> str:
    """Many commands by one process, and what it says; the first that fails ends it. ``called``: the file with them."""
    if not lines:
        return ""
    path = f"{STATE}/{called or program}"
    _have(path, "".join(f"{line}\n" for line in lines).encode("ascii"))
    return command.need([program, *options, "-batch", path], timeout=command.PATIENCE)


def batch_six(lines: t.Sequence[str]) -> None:
    batch("ip", lines, "ip6", ["-6"])


def _have(path: str, content: bytes) -> None:
    """Where all is well, nothing is written: there may be no room."""
    try:
        with open(path, "rb") as stream:
            if stream.read() == content:
                return
    except FileNotFoundError:
        pass
    files.replace(path, content)


def remove(*names: str) -> None:
    """Forget it."""
    for name in names:
        files.remove(f"{STATE}/{name}")
