# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying a release before anything is touched: its units with systemd-analyze, its configurations with their programs.

Everything happens in a private directory in memory, which is gone afterwards.
"""

from __future__ import annotations

import glob
import os
import pathlib
import re
import stat
import tempfile

from .. import plan
from ..consul import agent
from ..plan import TASKS
from ..pods import trial
from ..pods.across import routes
from ..pods.files import network, number
from ..resources import kinds
from ..say import disk
from ..system import accounts, command, files, own, ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import GroupPlan, Program

# Where the time zones are that systemd knows: tzset(3). It knows UTC without them.
ZONES = "/usr/share/zoneinfo"
# A program may be installed by an init task, or by provisioning after a check.
_LATER = re.compile(r"Command .* is not executable|Executable .* (not found|missing)")
# A user may be made by the switch, or be what the job asks for.
_TOLERATED = re.compile(r"Special user nobody configured|marked (world-inaccessible|executable)|[Ff]ailed to (look up|resolve) user")


def units(groups: t.Sequence[GroupPlan]) -> list[str]:
    """Errors that systemd reported in the unit files of plan groups. Its exit status is 0 even for an unknown key: read its output."""
    contents = {name: r["content"] for group in groups for r in group["resources"] for name in kinds.units([r]) if _is_tried(group, name)}
    if not contents:
        return []
    with _Directory({**contents, own.HOLDER: own.HOLDER_UNIT}) as directory:
        paths = [f"{directory}/{name}" for name in sorted(contents)]
        code, output = command.run(["systemd-analyze", "verify", "--man=no", *paths], timeout=60)
        return verdict(code, output, directory, contents)


def _is_tried(group: GroupPlan, unit: str) -> bool:
    """Not a timer in a time zone that the robot does not know: its schedule has that error (`lacking`), once and with its path."""
    return not (unit.endswith(".timer") and _problems(group, {"zone": _no_zone}))


def verdict(code: int, output: str, directory: str, names: t.Iterable[str]) -> list[str]:
    """What is wrong with the units of these names in a directory, by systemd-analyze's exit status and output."""
    if code == 124:
        return ["systemd-analyze verify did not end within 60 s"]
    lines = [line.strip().replace(directory + "/", "") for line in output.splitlines() if line.strip()]
    if code and not lines:
        return [f"systemd-analyze verify ended with status {code}"]
    mine = [line for line in lines if any(name in line for name in names)]
    bad = sorted({line for line in mine if not _LATER.search(line) and not _TOLERATED.search(line)})
    if code and not mine:
        bad = lines
    return [f"systemd does not accept this unit: {line}" for line in bad]


def checks(groups: t.Sequence[GroupPlan]) -> list[str]:
    """Run the checks of plan groups, but those whose program is not there yet."""
    found = []
    for group in groups:
        for check in group["checks"]:
            if not os.access(check["argv"][0], os.X_OK):
                continue
            with _Directory(check["files"]) as directory:
                argv = [argument.replace("{dir}", directory) for argument in check["argv"]]
                code, output = command.run(argv, timeout=60)
            if code:
                why = "did not end within 60 s" if code == 124 else f"ended with status {code}"
                found.append(f"{group['name']}: {check['name']} {why}: {_tail(output)}")
    return found


def lacking(groups: t.Sequence[GroupPlan]) -> list[str]:
    """Programs, devices, Unix groups, volumes and room that are not on the robot: tasks would only fail once what ran before has been
    stopped.

    That is not said of a group with an init task, which may be what puts them there. But its volumes must be safe, too, its data have
    room, and no init task makes a capability.
    """
    found = []
    for group in groups:
        if not _installs(group):
            found += [_lacking(program) for program in group["programs"] if not _is_there(program)]
            found += _problems(group, _ABSENT)
        found += _problems(group, _WRONG)
    return found


def _problems(group: GroupPlan, looks: t.Mapping[str, t.Callable[[str], str]]) -> list[str]:
    """What is wrong with what a group expects, by the looks that there are at things of each kind."""
    seen = [(each["where"], looks[each["what"]](each["name"])) for each in group["expects"] if each["what"] in looks]
    return [f"{where}: {why}" for where, why in seen if why]


def _no_device(path: str) -> str:
    return "" if glob.glob(path) else f"this robot has no device {path}; plug it in, or write optional: true"


def _no_group(name: str) -> str:
    return "" if accounts.group_exists(name) else f"this robot has no group {name}; create it, or name another"


def _no_user(name: str) -> str:
    return "" if accounts.user_exists(name) else f"this robot has no user {name}; create it, or name another"


def _no_source(path: str) -> str:
    return "" if os.path.lexists(path) else f"this robot has no {path}; create it, or name another"


def _no_jar(path: str) -> str:
    """It must also say which class it runs. Nothing of it is unpacked but that."""
    if not os.path.isfile(path):
        return f"this robot has no {path}; put it there, or name another"
    import lzma
    import struct
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as jar, jar.open("META-INF/MANIFEST.MF") as stream:
            main = any(line.lower().startswith(b"main-class:") for line in stream.read(2**20).splitlines())
    except (OSError, EOFError, ValueError, LookupError, RuntimeError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error):
        return f"{path} is not a jar, or is damaged; name a valid one"
    return "" if main else f"{path} does not say which of its classes to run; write class and classpath in place of jarPath"


def _no_zone(name: str) -> str:
    if os.path.exists(f"{ZONES}/{name}"):
        return ""
    close = _nearest_zone(name)
    remedy = f"did you mean {close}?" if close else "install its time zones (Debian's package tzdata), or name another"
    return f"this robot does not know {name}; {remedy}"


def _nearest_zone(name: str) -> str:
    import difflib

    found = [os.path.relpath(f"{above}/{each}", ZONES) for above, _rooms, names in os.walk(ZONES) for each in names]
    # Below these two are all of them once more.
    by_fold = {zone.lower(): zone for zone in found if not zone.startswith(("posix/", "right/"))}
    close = difflib.get_close_matches(name.lower(), by_fold, n=1, cutoff=0.75)
    return by_fold[close[0]] if close else ""


def _no_capability(name: str) -> str:
    """A container may have been given less than all."""
    held = re.search(r"^Capability bounding set: (.*)$", command.run(["setpriv", "--dump"])[1], re.MULTILINE)
    if held is None or name.lower() in held.group(1).split(","):
        return ""
    remedy = "remove it from the job, or grant it to the container in which the robot runs"
    return f"this robot does not have the capability {name}, not even for root; {remedy}"


def _no_users(name: str) -> str:
    """Tried by who is nobody, as the unit of a task does it."""
    only = [f"--{what}=-all,+sys_admin" for what in ("inh-caps", "ambient-caps", "bounding-set")]
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *only]
    unshare = ["unshare", "--user", "--map-root-user" if name == "root" else "--map-current-user"]
    code, output = command.run([*become, *unshare, "true"])
    if not code:
        return ""
    remedy = "see the sysctl user.max_user_namespaces, and what the container in which the robot runs may do; or remove it from the job"
    return f"this robot refuses user namespaces ({output.strip()}); {remedy}"


def _no_pods(asked: str) -> str:
    with _Directory({}) as directory:
        return trial.lacks(directory, asked)


def _no_names(address: str) -> str:
    """Somebody else may answer there already, as a server for all of the robot's addresses does."""
    wanted = [plan.port(address, 53, "", protocol=protocol) for protocol in ports.PROTOCOLS]
    for found in ports.taken(wanted, (own.DNS,), remedy=""):
        return f"{found.lstrip(': ')}; make it listen on other addresses only, or remove k8s4r_dns from this robot"
    return ""


def _no_link(asked: str) -> str:
    name, whole, *addresses = asked.split(" ")
    _ways, without = routes.known([(name, network(whole), tuple(map(number, addresses)))], ())
    return f"this robot {without[name]}; {_LINKED}" if name in without else ""


_LINKED = (
    "give both a k8s4r_address in one network and k8s4r_pod_cidr of their own, constrain both groups to the same robots,"
    " or call it through `upstreams`"
)


def _no_room(asked: str) -> str:
    size, *directories = asked.split(" ")
    # A directory with a limit shows what that leaves, and not what the file system has; those above have none.
    there = os.path.dirname(directories[0])
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    found = os.statvfs(there)
    free = found.f_bavail * found.f_frsize
    # What it has written already is part of it.
    if free >= int(size) or free + sum(files.size(directory) for directory in directories) >= int(size):
        return ""
    return f"asks for {disk.size(int(size))}, and the file system at {disk.mount_point(there)} has {disk.size(free)} free"


def _movable(path: str) -> str:
    """Why somebody else than root could put another thing at this path, or a link to one: systemd would follow it. Empty if nobody can."""
    for place in (path, *map(str, pathlib.PurePath(path).parents)):
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            return f"{place} is a link; name what it leads to"
        if place != path and (found.st_uid or found.st_mode & 0o022):
            return f"{place} can be changed by others than root, who could put a link into it; name {place} itself, or another place"
    return ""


# Why something that a plan expects is not there, and what is wrong with it whatever an init task does, by its kind; empty if nothing.
_ABSENT: dict[str, t.Callable[[str], str]] = {
    "device": _no_device,
    "group": _no_group,
    "jar": _no_jar,
    "source": _no_source,
    "user": _no_user,
    "zone": _no_zone,
}
_WRONG: dict[str, t.Callable[[str], str]] = {
    "capability": _no_capability,
    "consul": agent.lacks,
    "disk": _no_room,
    "link": _no_link,
    "names": _no_names,
    "pods": _no_pods,
    "source": _movable,
    "target": _movable,
    "users": _no_users,
}


def _installs(group: GroupPlan) -> bool:
    return any(kinds.of(resource).installs(resource) for resource in group["resources"])


def _found(program: Program) -> str:
    """The file that is executed; empty where there is none."""
    paths = [f"{directory}/{program['path']}" for directory in program["search"].split(":")] if program["search"] else [program["path"]]
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), "")


def _is_there(program: Program) -> bool:
    path = _found(program)
    return bool(path) and not _without_interpreter(path, program["search"])


_INSTALL = "install it, or have an init task do so"


def _without_interpreter(path: str, search: str) -> str:
    """Why a script cannot be executed, and what helps; empty if it can, or is none: execve(2). ``search``: where `env` looks for
    programs, if known.
    """
    with open(path, "rb") as stream:
        first = stream.readline(256)
    # As the kernel reads it: a carriage return is a part of the name.
    text = first[2:].decode("utf-8", "replace").rstrip("\n").strip(" \t") if first.startswith(b"#!") else ""
    interpreter, _blank, argument = text.replace("\t", " ").partition(" ")
    # What is below the last one comes with the task.
    if not interpreter or interpreter.startswith(f"{TASKS}/"):
        return ""
    if not os.access(interpreter, os.X_OK):
        if interpreter.endswith("\r") and os.access(interpreter[:-1], os.X_OK):
            why = "its lines end with a carriage return, as on Windows, which the kernel takes for a part of the interpreter's name"
            return f"{why}; save it with line feeds alone"
        return f"it is a script for {interpreter}, which is not on this robot; {_INSTALL}"
    wanted = argument.strip()
    if os.path.basename(interpreter) != "env" or not search or not wanted or wanted.startswith("-") or " " in wanted:
        return ""
    there = any(os.access(f"{directory}/{wanted}", os.X_OK) for directory in search.split(":"))
    return "" if there else f"it is a script for {wanted}, which is in no directory of its PATH on this robot ({search}); {_INSTALL}"


def _lacking(program: Program) -> str:
    found, path = _found(program), program["path"]
    remedy = "write what follows the program in args" if " " in path else _INSTALL
    if found:
        why = f"cannot be executed: {_without_interpreter(found, program['search'])}"
    elif program["search"]:
        why = f"is in no directory of its PATH on this robot ({program['search']}); {remedy}"
    elif os.path.isdir(path):
        why = "is a directory; name a program"
    elif os.path.isfile(path):
        why = "is not executable; make it so (chmod +x), or have an init task do so"
    elif os.path.exists(path):
        why = "is no program; name one"
    else:
        why = f"is not on this robot; {remedy}"
    return f"{program['where']}: {path} {why}"


def missing(groups: t.Sequence[GroupPlan]) -> list[str]:
    """What provisioning has to install, by its name."""
    return sorted({need["what"] for group in groups for need in group["needs"] if not os.path.exists(need["path"])})


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-12:])


class _Directory:
    """A directory in memory that root alone can enter, with files in it (a context manager)."""

    def __init__(self, contents: t.Mapping[str, str]) -> None:
        self._contents = contents

    def __enter__(self) -> str:
        self.path = tempfile.mkdtemp(prefix="k8s4r-check-", dir="/run")
        try:
            for name, content in self._contents.items():
                with open(f"{self.path}/{name}", "w", encoding="utf-8") as stream:
                    stream.write(content)
        except OSError as error:
            # What could not be written says of itself nothing of where that was.
            error.filename = error.filename or f"{self.path}/{name}"
            files.remove(self.path)
            raise
        return self.path

    def __exit__(self, *_error: object) -> None:
        files.remove(self.path)
