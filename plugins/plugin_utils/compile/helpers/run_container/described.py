# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is given to make a container, in the words of Docker's API: what FILE says, with what only the robot knows."""

from __future__ import annotations

import glob
import os
import re

from .notes import TAKES_THEM, VARIABLES
from .processes import ALWAYS_UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


def by_podman(task: dict[str, t.Any]) -> bool:
    return bool(task.get("engine") == "podman")


def body(task: dict[str, t.Any], by_systemd: bool, of_image: t.Callable[[str], t.Any]) -> dict[str, t.Any]:
    """``by_systemd``: it has a control group by the name of its slice. ``of_image``: what an image says of itself."""
    made: dict[str, t.Any] = task["body"]
    host = made["HostConfig"]
    host["CgroupParent"] = os.path.basename(task["slice"]) if by_systemd else task["slice"]
    if task.get("last"):
        # While systemd stops the slice, it starts nothing in it. What is made there without it must not be called a slice.
        host["CgroupParent"] = ALWAYS_UP if by_systemd and not by_podman(task) else f"{task['slice']}/last"
    paths = sorted(path for pattern in task["devices"] for path in glob.glob(pattern))
    host["Devices"] = [{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"} for path in paths]
    user, group = identity(task)
    # Its primary group gives it the task's own directories, whoever the image's user is.
    host["GroupAdd"] = [str(number) for number in group]
    if user is not None:
        made["User"] = f"{user}:{group[0]}"
    os.chown(task["secrets"], user or 0, group[0])
    os.chmod(task["secrets"], 0o770)
    variables = read_variables(task["environment"])
    hidden = {name: value for name, value in variables.items() if name in task["hidden"] or (by_podman(task) and in_lines(value))}
    made["Env"] = [f"{name}={value}" for name, value in variables.items() if name not in hidden]
    if hidden:
        hide(task, made, hidden, of_image(made["Image"]))
    return made


def hide(task: dict[str, t.Any], made: dict[str, t.Any], hidden: dict[str, str], image: dict[str, t.Any]) -> None:
    """Have the container's own shell set these variables: what is in `Env`, `docker inspect` shows to everyone who may use Docker."""
    path = f"{task['runtime']}/environment"
    with open(path, "w", encoding="utf-8") as file:
        # Nobody else can enter the directory; in the container, its user must be able to read the file.
        os.fchmod(file.fileno(), 0o444)
        for name, value in hidden.items():
            quoted = value.replace("'", "'\\''")
            file.write(f"{name}='{quoted}'\n")
    made["HostConfig"]["Mounts"].append({"Type": "bind", "Source": path, "Target": VARIABLES, "ReadOnly": True})
    own = made.get("Entrypoint")
    entry = own or image.get("Entrypoint") or []
    arguments = made.get("Cmd") or ([] if own else image.get("Cmd") or [])
    made["Entrypoint"], made["Cmd"] = [*TAKES_THEM, *entry, *arguments], []


def in_lines(value: str) -> bool:
    """Whether it cannot be a line of a file."""
    return "\n" in value or "\r" in value


def identity(task: dict[str, t.Any]) -> tuple[t.Optional[int], list[int]]:
    """The numbers of the user, None for the image's own, and of the groups. In the image, other names may have them."""
    import grp
    import pwd

    groups = [grp.getgrnam(name).gr_gid for name in task["groups"]]
    return (pwd.getpwnam(task["user"]).pw_uid if task["user"] else None), groups


def read_variables(path: str) -> dict[str, str]:
    """An environment file as the compiler writes it."""
    with open(path, encoding="utf-8", newline="") as stream:
        found = re.findall(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', stream.read(), re.MULTILINE | re.DOTALL)
    return {name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for name, value in found}
