# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine itself is, and what its own units are called."""

from __future__ import annotations

import os
import sys

from ..plan import ROOT_SLICE, RUNTIME, STARTED_AT_BOOT, UNIT_DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Rolls back at boot.
RECOVERY = "k8s4r-recover.service"
# Writes the log files of all tasks.
ROTATOR = "k8s4r-logs.service"
# A socket unit cannot be without a service, which systemd starts when something comes and which must not run when the socket unit is
# started. This one has no program: an instance of it is active from a task's first line until the task's socket unit stops.
HOLDER = "k8s4r-log@.service"
HOLDER_UNIT = """\
[Unit]
Description=k8s4r: %i has written to its log
DefaultDependencies=no
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=/bin/true
"""
# Runs the health checks of all tasks, and what starts it.
CHECKS, CHECKS_TIMER = "k8s4r-checks.service", "k8s4r-checks.timer"
# Writes statistics for Prometheus: a service, and the timer that starts it.
TEXTFILE, TEXTFILE_TIMER = "k8s4r-textfile.service", "k8s4r-textfile.timer"
# How the names of units begin, of tasks and of init tasks.
RUNS, PREPARES = "k8s4r-task-", "k8s4r-init-"
# Has the walls between pods, and their published ports, in force; and what starts it again and again.
WALLS, WALLS_TIMER = "k8s4r-walls.service", "k8s4r-walls.timer"
# Answers for the names of pods and services.
DNS = "k8s4r-dns.service"
# Every unit of the engine, as a pattern: no job may have a unit of such a name.
UNITS = r"k8s4r-((recover|dns|logs|log@.*|checks|textfile|walls|prepare-.*|switch-.*)\.service|(checks|textfile|walls)\.timer)"
# What distributions call their Python, of whatever version it is.
PYTHON = "/usr/bin/python3"
DAMAGED = "files of the engine on this robot are damaged; run again to replace them"


def unit_in_slice(name: str) -> str:
    """The unit of the task whose container is alone in this slice; empty for other slices. In its name, `_` stands for `-`, but for the
    one with which that of an init task begins.
    """
    stem, _dot, kind = name.rpartition(".")
    words = stem.split("-")
    if kind != "slice" or len(words) != 3 or words[0] != "k8s4r":
        return ""
    return f"{PREPARES if words[2].startswith('_') else RUNS}{words[2].lstrip('_').replace('_', '-')}.service"


def is_own(unit: str) -> bool:
    """Whether a unit's name is one of the engine's own, or of the slice of all groups."""
    import re

    return unit == ROOT_SLICE or re.fullmatch(UNITS, unit) is not None


def worker(operation: str, release: str) -> str:
    """The unit that does the work of ``prepare`` or ``switch``."""
    return f"k8s4r-{operation}-{release}.service"


def is_damaged() -> bool:
    """Whether this engine's files are not those that its directory is called after, as transport/packing.py calls it."""
    import hashlib

    home = engine_home()
    digest = hashlib.sha256()
    paths = sorted(
        os.path.relpath(f"{above}/{name}", home) for above, _rooms, names in os.walk(home) for name in names if name.endswith(".py")
    )
    for path in paths:
        with open(f"{home}/{path}", "rb") as stream:
            content = stream.read()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    # Run from memory, or from a checkout, it has no such name.
    name = os.path.basename(os.path.realpath(home))
    return len(name) == 32 and digest.hexdigest()[:32] != name


def retire() -> None:
    """Let the next request find no engine, so that it is sent again."""
    os.unlink(engine_home() + "/__main__.py")


def engine_home() -> str:
    """Where this engine is: the directory that Python runs."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.dirname(package)


def python() -> str:
    """The Python that the engine's units run: this one, by the name that it still has after an upgrade of the distribution.

    Ansible may have been told, or have found, one with its version in its name, or one of a virtual environment.
    """
    try:
        return PYTHON if os.path.samefile(PYTHON, sys.executable) else sys.executable
    except OSError:
        return sys.executable


def program(engine: str, module: str) -> str:
    """The command line of a program that is none of the engine's requests: `main` of one of its modules. ``engine``: a link to it."""
    package = __name__.partition(".")[0]
    return f"{python()} -I -S -c \"import sys; sys.path.insert(0, '{engine}'); from {package}.{module} import main; main()\""


def timer(description: str, *when: str) -> str:
    """The unit file of a timer: lines of [Timer] that say when the service of its name is started."""
    return "\n".join(
        ["[Unit]", f"Description=k8s4r: {description}", "", "[Timer]", *when, "", "[Install]", "WantedBy=multi-user.target", ""]
    )


def text(unit: str) -> str:
    """The unit file of a unit of the engine; nothing where there is none."""
    try:
        with open(_path(unit), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def put(units: t.Mapping[str, str], at_boot: str = "", soon: bool = False, runs: bool = False) -> bool:
    """Have units of the engine with these texts, of which systemd starts one at boot; whether anything was not so.

    ``runs``: what runs of them is to take in what has changed. It counts as changed until the caller says that it has (`taken_in`):
    whoever is killed before that has another one do it.
    ``soon``: systemd is to read all unit files anew in a moment anyway. A file that it has not seen it reads by itself; what it starts at
    boot it learns only then. To have it read all of them takes five times as long as to ask it.
    """
    from . import files, systemd

    before = {name: text(name) for name in units}
    others = [name for name, wanted in units.items() if before[name] != wanted]
    for name in others:
        files.link(_anew(name), name)
        files.write(_path(name), units[name].encode("utf-8"), 0, 0, 0o644)
    linked = not at_boot or os.path.islink(_wants(at_boot))
    if not linked:
        files.link(_wants(at_boot), f"../{at_boot}")
    unfinished = [name for name in units if os.path.islink(_anew(name))]
    if not unfinished and linked:
        return False
    new = soon and not any(before[name] for name in others)
    if not (new and systemd.has_read([name for name in units if "@" not in name])):
        systemd.reload()
    if not runs:
        taken_in(*units)
    return True


def taken_in(*units: str) -> None:
    """What runs of these units is as their files say."""
    from . import files

    for unit in units:
        files.remove(_anew(unit))


def remove(*units: str) -> None:
    """Take units of the engine away, which are down."""
    from . import files, systemd

    for unit in units:
        files.remove(_wants(unit))
        files.remove(_path(unit))
    taken_in(*units)
    systemd.reload()


def _path(unit: str) -> str:
    return f"{UNIT_DIRECTORY}/{unit}"


def _anew(unit: str) -> str:
    """There while a unit's file is newer than what systemd, or the unit's program, has taken in. A boot takes in all of them."""
    return f"{RUNTIME}/anew-{unit}"


def _wants(unit: str) -> str:
    return f"{STARTED_AT_BOOT}/{unit}"
