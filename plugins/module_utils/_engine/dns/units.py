# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's own DNS server, as long as anybody is to be answered: dnsmasq, by a unit of ours and with nothing but our configuration."""

from __future__ import annotations

import contextlib
import os

from .. import plan
from ..say.errors import Refusal
from ..system import files, own, systemd
from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from .records import Known

SERVICE = "\n".join(
    [
        "[Unit]",
        "Description=k8s4r: answer for the names of pods and services, and ask the robot's name servers for all others",
        f"Before={plan.ROOT_SLICE}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        # It goes into the background when it listens.
        "Type=forking",
        f"PIDFile={records.PID}",
        f"RuntimeDirectory={records.RUNTIME[len('/run/') :]}",
        f"ExecStart=/usr/sbin/dnsmasq --conf-file={records.CONFIGURATION}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=always",
        "RestartSec=0.2",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
)


def ensure(robot: Robot, resources: t.Iterable[Resource]) -> None:
    """Before a switch: have it there, with the names of what is new, if these resources need it or others have needed it before. Raises
    `Refusal` where it does not start.
    """
    wanted = records.coming(resources, robot.store.read)
    if not own.text(own.DNS) and not records.listens(wanted):
        return
    known = records.together(records.described(), wanted)
    if records.listens(known):
        why = _have(known)
        if why:
            settle()
            raise Refusal([f"k8s4r_dns: {own.DNS} does not start: {why}; see journalctl -u {own.DNS}, or remove k8s4r_dns of this robot"])


def settle() -> list[str]:
    """After a switch: what the files say now; or nothing, where nobody is to be answered. What fails is told, and systemd tries again."""
    if not own.text(own.DNS) and not os.path.isdir(plan.NAMES):
        return []
    known = records.described()
    why = ""
    if records.listens(known):
        why = _have(known)
    elif own.text(own.DNS):
        systemd.stop([own.DNS])
        own.remove(own.DNS)
        files.remove(records.DIRECTORY)
    with contextlib.suppress(OSError):
        os.rmdir(plan.NAMES)
    return [f"{own.DNS} does not answer as it should: {why}"] if why else []


def _have(known: Known) -> str:
    """Have the server answer so; why it does not, empty if it does."""
    os.makedirs(records.DIRECTORY, mode=0o755, exist_ok=True)
    addresses = _put(records.HOSTS, records.hosts(known))
    rest = _put(records.CONFIGURATION, records.configuration(known))
    # What it reads once, at its start, or reads again when it is asked to.
    anew = own.put({own.DNS: SERVICE}, own.DNS) or rest
    verb = "restart" if anew else "reload-or-restart" if addresses else "start"
    code, output = systemd.ask(["systemctl", verb, own.DNS], timeout=90)
    return output.strip() if code else ""


def _put(path: str, text: str) -> bool:
    """Whether a file was not so."""
    content = text.encode("ascii")
    try:
        with open(path, "rb") as stream:
            if stream.read() == content:
                return False
    except FileNotFoundError:
        pass
    files.replace(path, content, 0o644)
    return True
