# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's own DNS server, as long as anybody is to be answered: dnsmasq, by a unit of ours and with nothing but our configuration."""

from __future__ import annotations

import contextlib
import os

from .. import plan
from ..say import jsontext
from ..say.errors import CommandFailed, Refusal
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
        "RestartSec=1",
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

# systemd removes it when the server stops.
_READ = records.RUNTIME + "/read"


def ensure(robot: Robot, resources: t.Iterable[Resource]) -> None:
    """Before a switch: have it there, with the names of what is new, if these resources need it or others have needed it before. Raises
    `Refusal` where it does not start.
    """
    wanted = records.coming(resources, robot.store.read)
    if not own.text(own.DNS) and not records.listens(wanted):
        return
    now = records.described()
    # The pods that begin anew may have another range, and ask there.
    listens = sorted({*records.listens(now), *records.listens(wanted)})
    if listens:
        why = _have(records.together(now, wanted), listens)
        if why:
            raise Refusal([f"k8s4r_dns: {own.DNS} does not start: {why}; see journalctl -u {own.DNS}, or remove k8s4r_dns from this robot"])


def settle() -> list[str]:
    """After a switch: what the files say now; or nothing, where nobody is to be answered. What fails is reported, and the next switch tries
    again.
    """
    if not own.text(own.DNS) and not os.path.isdir(plan.NAMES):
        return []
    try:
        why = _settle(records.described())
    except (CommandFailed, OSError) as error:
        why = str(error)
    return [f"{own.DNS} does not answer as it should: {why}"] if why else []


def _settle(known: Known) -> str:
    why = ""
    listens = records.listens(known)
    if listens:
        why = _have(known, listens)
    elif own.text(own.DNS):
        systemd.stop([own.DNS])
        own.remove(own.DNS)
        files.remove(records.DIRECTORY)
    with contextlib.suppress(OSError):
        os.rmdir(plan.NAMES)
    return why


def _have(known: Known, listens: t.Sequence[str]) -> str:
    """Have the server answer so, at these addresses; why it does not, empty if it does."""
    os.makedirs(records.DIRECTORY, mode=0o755, exist_ok=True)
    texts = {records.HOSTS: records.hosts(known), records.CONFIGURATION: records.configuration(known, listens)}
    read = _read()
    new = {path for path, text in texts.items() if _put(path, text) or read.get(path, text) != text}
    # What it reads once, at its start, or reads again when it is asked to.
    anew = own.put({own.DNS: SERVICE}, own.DNS, runs=True) or records.CONFIGURATION in new
    verb = "restart" if anew else "reload-or-restart" if new else "start"
    code, output = systemd.ask(["systemctl", verb, own.DNS], timeout=90)
    if code:
        return output.strip()
    own.taken_in(own.DNS)
    files.replace(_READ, jsontext.dumps(texts).encode("utf-8"))
    return ""


def _read() -> dict[str, str]:
    """What the server was told to read last; nothing where it has started by itself since, and so has read all that there is. Without
    it, a switch that was killed before it told the server would leave it with what it has.
    """
    try:
        with open(_READ, encoding="utf-8") as stream:
            found: dict[str, str] = jsontext.loads(stream.read())
        return found
    except (OSError, ValueError):
        return {}


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
