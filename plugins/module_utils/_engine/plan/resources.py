# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of a plan, and what makes them: one function for each kind. _engine/resources/ says what a robot does with them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    class _Port(t.TypedDict):
        address: str
        port: int
        where: str
        unit: str

    class Port(_Port, total=False):
        protocol: str
        called: str
        chosen: bool
        never: list[int]  # of one that is chosen: what it cannot be, since something else in its pod has that number
        addressed: str
        serves: list[str]  # what is found there, by the names that others follow
        terms: t.Mapping[str, t.Any]  # what a run of those who call it must know: the robot keeps it, and gives it no meaning

    class Script(t.TypedDict):
        name: str
        argv: list[str]
        timeout: float

    class Told(t.TypedDict):
        """What runs beside a unit that takes in changed files, by their paths; ``run`` is as in its checks."""

        run: t.Mapping[str, t.Any]
        scripts: t.Mapping[str, Script]

    class _Kind(t.TypedDict):
        kind: str

    class Resource(_Kind, total=False):
        """What any kind of resource may have; its constructor below says which keys, and its file in resources/ what they mean."""

        path: str
        name: str
        description: str
        content: str
        digest: str  # of the content, and in its place once the engine has stored it
        owner: str
        group: str
        mode: str
        data: bool
        volatile: bool
        shared: list[str]
        users: list[str]
        where: str
        holds: list[str]
        secret: bool
        hidden: list[str]
        union: str | None
        follows: str
        knows: list[str]  # of a secret file that follows something: the addresses in it
        saw: t.Mapping[str, str]  # by services that went into a file's text, what tells whether they are still as they were then
        ours: bool  # a program of this project: where it is new, a diff has only its name
        target: str
        run: str
        reads: list[str]
        refreshes: t.Mapping[str, str]
        told: Told
        done: str | None
        endless: bool
        called: str
        label: str
        logs: str
        checks: str
        settles: float
        pause: float
        deadline: float
        project: int
        size: int
        directories: list[str]
        blobs: list[str]  # added by the robot: the SHA-256 of what it has downloaded for it
        leaving: bool  # added by the robot: the group does not want it here any more, and it has to stay for now
        reference: str
        pull: str
        load: str
        source: dict[str, t.Any]
        auth: dict[str, str]
        shell: bool
        gpus: bool
        engine: str
        container: str
        stops: str
        listens: list[Port]


def user(name: str, description: str) -> Resource:
    """A system user of its own primary group, declared in /etc/sysusers.d/<name>.conf; no home, no shell."""
    return {"kind": "user", "name": name, "description": description}


def directory(
    path: str,
    owner: str = "root",
    group: str = "root",
    mode: str = "0755",
    data: bool = False,
    volatile: bool = False,
    shared: t.Iterable[str] = (),
    users: t.Iterable[str] = (),
    where: str = "",
) -> Resource:
    """``data``: contains what programs wrote; removed with the group unless the run keeps data. ``volatile``: a file system in
    memory, so it is gone after a boot; the units that use it mount it again. ``users``: those who run tasks of the group, where
    files change hands with their directory: when its owner changes, all that belonged to the old one there, and in the ``shared``
    directories, unless the old one is still among the users. ``where`` is the job file's path of the owner, for a user whom the
    robot must have.
    """
    return {
        "kind": "directory",
        "path": path,
        "owner": owner,
        "group": group,
        "mode": mode,
        "data": data,
        "volatile": volatile,
        "shared": list(shared),
        "users": list(users),
        "where": where,
    }


def file(
    path: str,
    content: str,
    owner: str = "root",
    group: str = "root",
    mode: str = "0644",
    secret: bool = False,
    union: str | None = None,
    hidden: t.Iterable[str] | None = None,
    label: str = "",
    follows: str = "",
) -> Resource:
    """A complete file, replaced by rename with owner and mode set before.

    ``content`` is text (UTF-8). ``secret``: its content is in no diff, log or result. ``hidden``: if such a file is an environment
    file, the variables whose values are secret; a diff shows the other values. Without it all values are. ``union`` names the top-level
    list of a JSON file whose members have a unique ``name``: before all files are at their new content, old members
    stay beside the new ones, so that nothing that still refers to them breaks in between. ``label``: what people call it; if it is
    secret, a diff shows nothing of it, and neither the names of variables. ``follows``: what the file follows that other robots have,
    too, names with a blank between them: a switch may leave it as it is until they are ready (`hold`).
    """
    made: Resource = {
        "kind": "file",
        "path": path,
        "content": content,
        "owner": owner,
        "group": group,
        "mode": mode,
        "secret": secret,
        "union": union,
    }
    if label:
        made["label"] = label
    if follows:
        made["follows"] = follows
    return made if hidden is None else {**made, "hidden": sorted(hidden)}


def link(path: str, target: str) -> Resource:
    return {"kind": "link", "path": path, "target": target}


def quota(name: str, project: int, size: int, directories: t.Iterable[str], where: str, label: str = "") -> Resource:
    """So many bytes, and no more, for all that is in some directories of the plan, whoever wrote it. The file system counts it for the
    ``project`` of this number. ``where`` is the job file's path of the size. ``label``: what people call it within its group.
    """
    made: Resource = {"kind": "quota", "name": name, "project": project, "size": size, "directories": list(directories), "where": where}
    return {**made, "label": label} if label else made


def artifacts(path: str, name: str, content: str, owner: str, group: str, where: str, secret: bool = False) -> Resource:
    """What a task downloads: ``path`` is a file that says what of it is in the task's directories, for which root alone has a use.

    ``content``: a list in JSON, of sources as _engine/fetch/sources.py has them, in the order in which they are put in place. The robot
    replaces it by what it has found there. ``name``: what people call the task within its group. ``where`` is the job file's path of them.
    """
    return {
        "kind": "artifacts",
        "path": path,
        "name": name,
        "content": content,
        "owner": owner,
        "group": group,
        "mode": "0600",
        "where": where,
        "secret": secret,
    }


def image(
    name: str,
    reference: str,
    pull: str,
    where: str,
    load: str = "",
    auth: dict[str, str] | None = None,
    shell: bool = False,
    gpus: bool = False,
    engine: str = "docker",
    source: dict[str, t.Any] | None = None,
) -> Resource:
    """An image of containers, which gets the ``name`` when it is there, so that a tag that moves changes nothing. ``reference`` is what
    people call it. ``pull``: ``missing``, ``always`` or ``never``. ``load``: a file on the robot that it is loaded from, or what people
    call the artifact that is one, whose ``source`` is as in `artifacts`. ``auth``: the username and password for its registry.
    ``shell``: it must have one. ``gpus``: it must be given some. ``engine``: who has it. The content is written by the robot: which
    image it is.
    """
    made: Resource = {
        "kind": "image",
        "name": name,
        "reference": reference,
        "pull": pull,
        "where": where,
        "load": load,
        "shell": shell,
        "gpus": gpus,
        "content": "",
    }
    if engine != "docker":
        made["engine"] = engine
    if source:
        made["source"] = source
    return {**made, "auth": auth} if auth else made


def unit(
    name: str,
    content: str,
    run: str = "none",
    reads: t.Iterable[str] = (),
    done: str | None = None,
    called: str = "",
    holds: t.Iterable[str] = (),
    endless: bool = False,
    logs: str = "",
    checks: str = "",
    settles: float | None = None,
    deadline: float | None = None,
    pause: float = 0.0,
    refreshes: t.Mapping[str, str] | None = None,
    told: Told | None = None,
    container: str = "",
    stops: str = "",
    listens: t.Iterable[Port] = (),
    label: str = "",
) -> Resource:
    """A systemd unit file in /etc/systemd/system, and whether it shall run.

    ``run``: ``none`` is only written (slice); ``always`` shall be active; ``init`` is a oneshot that shall have ended
    well (active, exited), and may bring programs of others; ``hook`` is the same, and brings none; ``once`` runs to its end.
    Whatever it is, it is finished when the file ``done`` exists: then it need not run.
    ``reads``: paths of files of the same plan whose content the process takes in at its start; the unit restarts when
    its own content or one of theirs differs from what it last started with. A unit file among them is of a unit after which it starts;
    one that does not run by itself starts again with it. ``logs``: the directory with its log files. ``called``: what people call it
    within its group: ``r0 server`` (task of an instance), ``init fetch``, ``proxy``. A target that runs wants every other unit of its
    group that runs: its start starts all of them that are down, in the order that they want.
    ``holds``: directories that the process has open as long as it runs; the unit restarts when one of the plan's directories
    there had to be made again, and stops before anything else when it is to hold one no longer. ``endless``: systemd starts it again
    without limit as long as it fails. ``checks``: the file with its health checks. ``settles``: for so many seconds it must have been
    up, and its checks passing, until it is healthy; ``deadline``: so many they have for it, from the start of the switch. ``pause``:
    for so many seconds systemd waits before it starts the unit again. ``refreshes``: files of the same plan that the unit takes in
    without a restart, by ExecReload=, each with what people call that, such as ``signal SIGHUP``; empty where nobody is told.
    ``told``: what runs then, as if one of the unit's programs had started it. ``container``: the slice beside it that has its container.
    ``stops``: how its program is asked to end, in a form that is only compared.
    ``listens``: ports of the pod in which the unit runs, and not of the robot, where its program must listen. ``label``: what people call
    what a unit does for others of its group, where it has no name of its own.
    """
    made: Resource = {
        "kind": "unit",
        "name": name,
        "content": content,
        "run": run,
        "reads": list(reads),
        "done": done,
        "called": called,
        "holds": list(holds),
        "logs": logs,
    }
    if endless:
        made["endless"] = True
    if checks:
        made["checks"] = checks
    if settles is not None:
        made["settles"] = settles
    if deadline is not None:
        made["deadline"] = deadline
    if pause:
        made["pause"] = pause
    if refreshes:
        made["refreshes"] = dict(refreshes)
    if told:
        made["told"] = told
    if container:
        made["container"] = container
    if stops:
        made["stops"] = stops
    if label:
        made["label"] = label
    ports = list(listens)
    if ports:
        made["listens"] = ports
    return made
