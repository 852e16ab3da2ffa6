# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``textfile``: have this robot write its statistics for node_exporter, or no longer. A timer starts what writes them; nothing stays."""

from __future__ import annotations

import os
import re

from ..change import boot_unit
from ..plan import STATE
from ..say.errors import Refusal
from ..state.lock import Lock
from ..system import files, own, systemd
from ..usage import textfile
from . import info

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..state.robot import Robot

    class Done(t.TypedDict):
        status: t.Literal["ok"]
        changed: bool


# Seconds.
EVERY = 30
# Seconds. Somebody may be preparing a job at this moment.
PATIENCE = 3.0
# What needs no quoting in a unit, but for the root.
_DIRECTORY = r"(/[A-Za-z0-9_.@:+-]+)+"
_INTO = "ConditionPathIsDirectory="


def answer(robot: Robot, directory: str, check: bool = False) -> Done:
    """Have the file written into a directory that is there; into none if that is an empty text. Refuses what is no directory."""
    if directory and not re.fullmatch(_DIRECTORY, directory):
        raise Refusal([f"directory: {directory!r} is not the absolute path of a directory, of letters, digits and _.@:+-"])
    if directory and os.path.realpath(directory) != directory:
        raise Refusal([f"directory: {directory} is reached by a link; name {os.path.realpath(directory)}"])
    if directory and not os.path.isdir(directory):
        raise Refusal([f"directory: this robot has no {directory}; install node_exporter first, with its collector textfile"])
    before, wanted = own.text(own.TEXTFILE), _service(directory) if directory else ""
    changed = (before, own.text(own.TEXTFILE_TIMER)) != (wanted, _TIMER if directory else "")
    changed = changed or (bool(directory) and systemd.state(own.TEXTFILE_TIMER) != "active")
    if changed and not check:
        if directory:
            robot.make()
            # A switch that begins in between must find its own engine at boot, and not this one.
            with Lock(robot.runtime, "provisioning", "statistics for Prometheus", patience=PATIENCE):
                _write_into(robot, directory, wanted, before)
        else:
            _remove(before)
    return {"status": "ok", "changed": changed}


def _write_into(robot: Robot, directory: str, wanted: str, before: str) -> None:
    """The old units go on until the new ones are there."""
    if not robot.interrupted():
        boot_unit.use(robot)
    own.put({own.TEXTFILE: wanted, own.TEXTFILE_TIMER: _TIMER}, own.TEXTFILE_TIMER)
    systemd.stop([own.TEXTFILE_TIMER, own.TEXTFILE])
    for former in _written_into(before):
        if former != directory:
            files.remove(f"{former}/{textfile.NAME}")
    systemd.need(["systemctl", "start", own.TEXTFILE_TIMER, own.TEXTFILE], timeout=90)


def _written_into(unit: str) -> list[str]:
    """Where the service has written: only its unit file says so."""
    return [line[len(_INTO) :] for line in unit.splitlines() if line.startswith(_INTO)]


def write(robot: Robot, directory: str) -> Done:
    """Write the file: what the unit does."""
    textfile.write(directory, textfile.text(info.answer(robot, sample=0.0)["taskgroups"]))
    return {"status": "ok", "changed": True}


def _remove(before: str) -> None:
    """Take both units away, and the file that the service has written."""
    if not before:
        return
    systemd.stop([own.TEXTFILE_TIMER, own.TEXTFILE])
    for directory in _written_into(before):
        files.remove(f"{directory}/{textfile.NAME}")
    own.remove(own.TEXTFILE_TIMER, own.TEXTFILE)


def _service(directory: str) -> str:
    """The unit that writes. A directory in memory may not be there yet after a boot. It needs /proc and the kernel's log, and no more."""
    return "\n".join(
        [
            "[Unit]",
            "Description=k8s4r: write statistics for Prometheus",
            f"{_INTO}{directory}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=oneshot",
            f"ExecStart={own.python()} -I -S {STATE}/engine/current textfile {directory}",
            "TimeoutStartSec=30",
            "Nice=10",
            "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_SYSLOG",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            # Python may be anywhere.
            "ProtectHome=read-only",
            # Newer versions of systemd take this for what they say of the unit, too: three lines each time.
            "LogLevelMax=notice",
            "SyslogLevel=notice",
            # The engine keeps bytecode there.
            f"ReadWritePaths={directory} {STATE}/engine",
            "RestrictAddressFamilies=AF_UNIX AF_NETLINK",
            "",
        ]
    )


_TIMER = own.timer("write statistics for Prometheus now and then", f"OnBootSec={EVERY}", f"OnUnitActiveSec={EVERY}", "AccuracySec=5")
