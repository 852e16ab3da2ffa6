# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a container that runs: to systemd, and to who runs a script in it."""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Where the container finds the variables that must not be seen from outside.
VARIABLES = "/k8s4r/environment"
TAKES_THEM = ("/bin/sh", "-c", f'set -a; . {VARIABLES}; set +a; exec "$@"', "sh")


def leave_how(task: dict[str, t.Any], **how: str) -> None:
    """By that, others run a script in the container as its program runs."""
    takes = TAKES_THEM if os.path.exists(f"{task['runtime']}/environment") else ()
    leave(task, "started", json.dumps({**how, "slice": task["slice"], "takes": takes}))


def leave(task: dict[str, t.Any], name: str, content: str) -> None:
    """What root finds of it as long as it runs; at no time half of it."""
    path = f"{task['runtime']}/{name}"
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(content)
    os.rename(f"{path}.part", path)


def tell_systemd() -> None:
    """The unit has started; sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(b"READY=1")
