# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the compiler writes units and environment files: values are escaped, so that systemd passes on any text byte for byte.

Other units are not of a job: the engine writes its boot unit itself, and roles have templates for SPIRE's.

Rules of systemd.syntax(7), systemd.service(5) "Command lines" and systemd.exec(5) "EnvironmentFile=".
"""

from __future__ import annotations

import functools
import re
import typing as t

Directives = t.Sequence[tuple[str, str]]

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_PLAIN = re.compile(r"[A-Za-z0-9_./@:,+=-]+")
# What a unit file may not have as it is: control characters, and what UTF-8 can write and Unicode has no character for.
_NEVER = (*range(0x20), 0x7F, *range(0xFDD0, 0xFDF0), *(plane + last for plane in range(0, 2**20 + 1, 2**16) for last in (0xFFFE, 0xFFFF)))
_ESCAPED = {
    **{number: "".join(f"\\x{byte:02x}" for byte in chr(number).encode()) for number in _NEVER},
    **str.maketrans({'"': '\\"', "\\": "\\\\", "%": "%%"}),
}


def unit(sections: t.Mapping[str, Directives]) -> str:
    """A unit file. Values are written as they are: the caller has escaped them where that is needed."""
    blocks = []
    for name, directives in sections.items():
        lines = [f"[{name}]", *[f"{directive}={value}" for directive, value in directives]]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def text(value: str) -> str:
    """Free text for a directive such as Description=: one line, without specifiers and control characters."""
    return _CONTROL.sub(" ", value).replace("%", "%%").rstrip("\\")


# The robots of a fleet have most items in common.
@functools.lru_cache(maxsize=4096)
def item(value: str) -> str:
    """One item of a list or a command line, quoted if it needs to be."""
    return value if _PLAIN.fullmatch(value) else _quoted(value)


def _quoted(value: str) -> str:
    """The value in double quotes. Only what must be is written as bytes, `\\xNN`: in lists of paths systemd undoes nothing but quotes."""
    return f'"{value.translate(_ESCAPED)}"'


def command(argv: t.Sequence[str], prefix: str = "") -> str:
    """A command line for ExecStart= and the like. The colon keeps systemd from replacing `$`."""
    return f"{prefix}:{' '.join(map(item, argv))}"


# What systemd tells a command of ExecStopPost=, systemd.exec(5).
HOW_IT_ENDED = ("SERVICE_RESULT", "EXIT_STATUS")


def as_root(argv: t.Sequence[str], kept: t.Sequence[str] = (), prefix: str = "") -> str:
    """A command line that root runs in a task's unit, but in the robot's file system: even `+` leaves it behind the unit's
    BindPaths= and TemporaryFileSystem=. `env` removes all variables but those of systemd's that are to be `kept`: with its PATH, or
    a variable that a shell obeys, the task could make root run programs of its own.
    """
    variables = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", *(f"{name}=${{{name}}}" for name in kept))
    outside = ("/usr/bin/nsenter", "--mount=/proc/1/ns/mnt")
    return " ".join((f"{prefix}+/usr/bin/env -i", *variables, *outside, *(item(argument).replace("$", "$$") for argument in argv)))


# The first major version whose EnvironmentFile= gives every value back as it was (systemd's src/basic/env-file.c and
# env-util.c; 245.8 does too, but of a robot we know the major version alone).
FAITHFUL_ENVIRONMENT = 247
# The first one with TimeoutStopFailureMode=.
KILLS_AT_ONCE = 246
# The first one with ProtectProc=.
HIDES_PROCESSES = 247
# Those that come with util-linux 2.36 and newer, whose `unshare` can make a user namespace for others than root.
MAPS_USERS = 247
# The first one that we have seen to survive Type=exec. Up to 248, PID 1 forgets that it listens for the execution of a program that
# ends at once where the unit has something to run after it (ExecStopPost=): then it hears of nothing else, and the robot no longer
# answers. The fix is "exec_fd event source rework", systemd's pull request 20030.
SURVIVES_EXEC = 250


def confined(families: str, calls: str = "", writable: str = "") -> Directives:
    """For programs of ours and those that we start for them: they can change nothing on the robot but what is `writable`, open sockets of
    some families of addresses alone, and make the usual system calls and a few more.
    """
    return [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectControlGroups", "yes"),
        *([("ReadWritePaths", item(writable))] if writable else []),
        ("RestrictAddressFamilies", families),
        ("RestrictNamespaces", "yes"),
        ("LockPersonality", "yes"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", f"@system-service {calls}".rstrip()),
        # A forbidden call returns an error, and does not kill the program.
        ("SystemCallErrorNumber", "EPERM"),
    ]


def started(version: int) -> Directives:
    """When a service has started: once its program is executed; where that would be dangerous, once there is a process for it.

    Then a program that cannot be executed is seen a moment later, as one that ends at once.
    """
    return [("Type", "exec" if version >= SURVIVES_EXEC else "simple")]


def lost_in_environment_file(value: str, version: int) -> str:
    """What systemd of this major version would do to the value of a variable in an environment file, as the end of the
    sentence "systemd ..."; empty where the value arrives as it is.
    """
    if version >= FAITHFUL_ENVIRONMENT:
        return ""
    if re.search(r"[\x01-\x08\x0b-\x1f\x7f]", value):
        return "drops a value with a control character (other than tab and newline) and writes it into the journal"
    if re.search(r"[\\`$]", value):
        return "adds a backslash before each $, ` and \\ of a value"
    return ""


def seconds(value: float) -> str:
    """A time span in seconds, for a directive. systemd counts in microseconds."""
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"
