# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire format between compiler and engine: a plan is plain resources and knows nothing of jobs but their names.

A plan is JSON, and these functions are the only way to make one, so that both ends agree on every key::

    robot plan   {"format": 1, "jobs": [job plan, ...]}
    job plan     {"namespace", "name", "groups": [group plan, ...]}      no groups: the robot shall have none of it
    group plan   {"id", "name", "resources": [...], "checks": [...], "needs": [...],
                  "programs": [...], "expects": [...], "ports": [...], "secrets": [...]}

Resources are listed in the order in which they are made; they are removed in the reverse order. A group plan is what
is switched, committed and rolled back as one; everything outside its own resources is out of its reach.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

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
        reference: str
        pull: str
        load: str
        source: dict[str, t.Any]
        auth: dict[str, str]
        shell: bool
        gpus: bool
        engine: str
        container: str
        listens: list[Port]

    class Check(t.TypedDict):
        name: str
        argv: list[str]
        files: dict[str, str]

    class Need(t.TypedDict):
        path: str
        what: str

    class Program(t.TypedDict):
        path: str
        where: str
        search: str

    class Expected(t.TypedDict):
        what: str
        name: str
        where: str

    class _Port(t.TypedDict):
        address: str
        port: int
        where: str
        unit: str

    class Port(_Port, total=False):
        protocol: str
        called: str
        chosen: bool
        addressed: str
        serves: list[str]  # what is found there, by the names that others follow
        terms: t.Mapping[str, t.Any]  # what a run of those who call it must know: the robot keeps it, and gives it no meaning

    class GroupPlan(t.TypedDict):
        id: str
        name: str
        resources: list[Resource]
        checks: list[Check]
        needs: list[Need]
        programs: list[Program]
        expects: list[Expected]
        ports: list[Port]
        secrets: list[str]

    class JobPlan(t.TypedDict):
        namespace: str
        name: str
        groups: list[GroupPlan]

    class RobotPlan(t.TypedDict):
        format: int
        jobs: list[JobPlan]


FORMAT = 1
# The ports from which the compiler chooses, and the robot where one is taken: outside of those that Linux takes for connections.
CHOSEN = (20000, 32000)
# What a group may expect on a robot besides programs.
EXPECTED = ("capability", "consul", "device", "disk", "group", "jar", "link", "names", "pods", "source", "target", "user", "users", "zone")
# The line before the engine's answer: what a shell or a login prints is before it.
MARKER = "K8S4R-RESULT"
# The exit status that asks for the engine to be sent: it is not there, or its files are damaged.
MISSING = 44

# Places on the robot that both ends know. RUNTIME is empty after a boot; below it, RESTART_COUNTS has a file for each unit, and
# SHARED_MEMORY a file system for each group.
CONFIGURATION, STATE, RUNTIME = "/etc/k8s4r", "/var/lib/k8s4r", "/run/k8s4r"
RESTART_COUNTS, SHARED_MEMORY = "restarts", "memory"
# What tasks write goes through two FIFOs for each, of the task's id and `.stdout` or `.stderr`, into files below TASKS, in the directory
# `logs` of each. LOGS has a file for each task, of that name, with the limits.
TASKS, LOGS, FIFOS = STATE + "/tasks", CONFIGURATION + "/logs", RUNTIME + "/logs"
# CHECKS has a file for each task with health checks, of its id; CHECK_STATES has what came of them.
CHECKS, CHECK_STATES = CONFIGURATION + "/checks", RUNTIME + "/checks"
# Of all that is kept on a robot for a later engine (state/formats.py).
KEPT_VERSION = 3
# PODS has a file for each pod, of its id. The network namespace of a pod is the file NETWORKS and its id; all pods are on the bridge.
# ROUTES has a file for each group with pods, of its id: where the pods of other robots are.
PODS, POD_STATES, BRIDGE = CONFIGURATION + "/pods", RUNTIME + "/pods", "k8s4r0"
NETWORKS, ROUTES = "/run/netns/k8s4r-", CONFIGURATION + "/routes"
# Mbit/s: what a pod may be limited to. The kernel counts a burst of such a limit, a 100th of a second, in 32 bits.
FASTEST = 3_000_000
# NAMES has a file for each service whose name the robot's own DNS server knows; that answers at LOOPBACK_DNS, too, where it is asked to.
NAMES, LOOPBACK_DNS = CONFIGURATION + "/names", "127.0.0.153"
# REGISTERED has a file for each service of an instance that Consul is to know.
REGISTERED = CONFIGURATION + "/consul"
# What the engine is called as a package on the robot.
PACKAGE = "k8s4r_engine"
# QUOTAS has a file for each quota in force, of its project's number.
QUOTAS = STATE + "/quotas"
# How the controller gets what it sends to robots from a file of its own. No robot is ever told so.
BESIDE = "beside"
# The repository of our names for the images of containers: no registry has a name like that. Units read them by what is below CALLED.
IMAGES, CALLED = "k8s4r.local", STATE + "/images"
UNIT_DIRECTORY = "/etc/systemd/system"
STARTED_AT_BOOT = UNIT_DIRECTORY + "/multi-user.target.wants"
# The parent of the groups' slices.
ROOT_SLICE = "k8s4r.slice"

# Where the engine may create or remove anything. A plan that names a path elsewhere is refused.
ROOTS = (
    *(
        f"{place}/"
        for place in (CONFIGURATION + "/groups", LOGS, CHECKS, PODS, ROUTES, NAMES, REGISTERED, STATE + "/groups", TASKS, QUOTAS)
    ),
    *(UNIT_DIRECTORY + "/k8s4r-", STARTED_AT_BOOT + "/k8s4r-", "/etc/sysusers.d/k8s4r-", RUNTIME + "/" + SHARED_MEMORY + "/"),
)


def robot(jobs: list[JobPlan]) -> RobotPlan:
    return {"format": FORMAT, "jobs": jobs}


def job(namespace: str, name: str, groups: list[GroupPlan]) -> JobPlan:
    return {"namespace": namespace, "name": name, "groups": groups}


def group(
    id: str,
    name: str,
    resources: t.Iterable[Resource],
    checks: t.Iterable[Check] = (),
    needs: t.Iterable[Need] = (),
    programs: t.Iterable[Program] = (),
    expects: t.Iterable[Expected] = (),
    ports: t.Iterable[Port] = (),
    secrets: t.Iterable[str] = (),
) -> GroupPlan:
    """``secrets``: values that are in secret files; the engine replaces them in every text that it returns."""
    return {
        "id": id,
        "name": name,
        "resources": list(resources),
        "checks": list(checks),
        "needs": list(needs),
        "programs": list(programs),
        "expects": list(expects),
        "ports": list(ports),
        "secrets": list(secrets),
    }


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


def quota(name: str, project: int, size: int, directories: t.Iterable[str], where: str) -> Resource:
    """So many bytes, and no more, for all that is in some directories of the plan, whoever wrote it. The file system counts it for the
    ``project`` of this number. ``where`` is the job file's path of the size.
    """
    return {"kind": "quota", "name": name, "project": project, "size": size, "directories": list(directories), "where": where}


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
    listens: t.Iterable[Port] = (),
) -> Resource:
    """A systemd unit file in /etc/systemd/system, and whether it shall run.

    ``run``: ``none`` is only written (slice); ``always`` shall be active; ``init`` is a oneshot that shall have ended
    well (active, exited), and may bring programs of others; ``hook`` is the same, and brings none; ``once`` runs to its end.
    Whatever it is, it is finished when the file ``done`` exists: then it need not run.
    ``reads``: paths of files of the same plan whose content the process takes in at its start; the unit restarts when
    its own content or one of theirs differs from what it last started with. A unit file among them is of a unit that it requires
    and that starts again with it. ``logs``: the directory with its log files. ``called``: what people call it within its
    group: ``r0 server`` (task of an instance), ``init fetch``, ``proxy``. A target that runs wants every other unit of its
    group that runs: its start starts all of them that are down, in the order that they want.
    ``holds``: directories that the process has open as long as it runs; the unit restarts when one of the plan's directories
    there had to be made again, and stops before anything else when it is to hold one no longer. ``endless``: systemd starts it again
    without limit as long as it fails. ``checks``: the file with its health checks. ``settles``: for so many seconds it must have been
    up, and its checks passing, until it is healthy; ``deadline``: so many they have for it, from the start of the switch. ``pause``:
    for so many seconds systemd waits before it starts the unit again. ``refreshes``: files of the same plan that the unit takes in
    without a restart, by ExecReload=, each with what people call that, such as ``signal SIGHUP``; empty where nobody is told.
    ``told``: what runs then, as if one of the unit's programs had started it. ``container``: the slice beside it that has its container.
    ``listens``: ports of the pod in which the unit runs, and not of the robot, where its program must listen.
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
    ports = list(listens)
    if ports:
        made["listens"] = ports
    return made


def check(name: str, argv: t.Iterable[str], files: t.Mapping[str, str]) -> Check:
    """A command that must exit 0 before the switch: ``files`` ({name: content}) are put into a private directory,
    ``{dir}`` in an argument is that directory. Its output is shown when it fails.
    """
    return {"name": name, "argv": list(argv), "files": dict(files)}


def need(path: str, what: str) -> Need:
    """A program or socket that provisioning installs: ``what`` is the provisioning role's name (envoy, spire_agent)."""
    return {"path": path, "what": what}


def program(path: str, where: str, search: str = "") -> Program:
    """A program that the group's units start and the robot must have; ``where`` is the job file's path of it.

    ``search``: the PATH in which a bare name is looked up.
    """
    return {"path": path, "where": where, "search": search}


def expected(what: str, name: str, where: str) -> Expected:
    """Something that must be so on the robot before anything changes; ``where`` is the job file's path of it.

    A ``capability`` is one that root has there. A ``consul`` agent is there, for the ``services`` that it is told, or for ``templates`` or
    ``upstreams`` that ask it. A ``device`` is there, by its path, even one with ``*``. A ``disk`` has room: the name is a number of bytes,
    and after spaces the directories where they are to be free, or in use already. A ``group`` of Unix is there. A ``jar`` of Java is there
    and says what of it to run. A ``link`` is shared with another robot: its name, the network of its pods and its addresses, with spaces.
    Port 53 of an address is free for ``names``. The kernel lets the robot have ``pods``; by their names, with ``ipv6``, and with a limit of
    their ``bandwidth``. The ``source`` of a volume is there, and the place of its ``target`` may be, and root alone can put anything in
    their places. A ``user`` is there. ``users`` are in namespaces of their own there, even one of this name. A time ``zone`` is known.
    """
    return {"what": what, "name": name, "where": where}


def port(
    address: str,
    number: int,
    where: str,
    unit: str = "",
    protocol: str = "tcp",
    called: str = "",
    chosen: bool = False,
    addressed: str = "",
) -> Port:
    """A port that the group listens on; ``where`` is the job file's path of it, for the message of a conflict.

    ``unit``: the one that listens. It is started again where nobody does; empty for none. ``protocol``: tcp or udp. ``called``: by this
    the group knows one of its tasks' ports, where tasks may listen and need not: ``r0 http``. ``chosen``: any other number of CHOSEN
    would do as well, and the robot says which, where it cannot be this one. ``addressed``: the job file's path of the address, where that
    is a particular one of the robot's.
    """
    made: Port = {"address": address, "port": number, "where": where, "unit": unit}
    if protocol != "tcp":
        made["protocol"] = protocol
    if called:
        made["called"] = called
    if addressed:
        made["addressed"] = addressed
    return {**made, "chosen": True} if chosen else made
