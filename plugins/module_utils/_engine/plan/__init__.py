# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire format between compiler and engine: a plan is plain resources and knows nothing of jobs but their names.

A plan is JSON, and these functions, with those of resources.py, are the only way to make one, so that both ends agree on every key::

    robot plan   {"format": 1, "jobs": [job plan, ...]}
    job plan     {"namespace", "name", "groups": [group plan, ...]}      no groups: the robot shall have none of it
    group plan   {"id", "name", "resources": [...], "checks": [...], "needs": [...],
                  "programs": [...], "expects": [...], "ports": [...], "secrets": [...]}

Resources are listed in the order in which they are made; they are removed in the reverse order. A group plan is what
is switched, committed and rolled back as one; everything outside its own resources is out of its reach.
"""

from __future__ import annotations

from .resources import artifacts, directory, file, image, link, quota, unit, user

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .resources import Port, Resource, Script, Told

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


# Resources, and what makes them, are called like all else of a plan: `plan.unit`. Types are there for who checks types alone.
__all__ = ["artifacts", "directory", "file", "image", "link", "quota", "unit", "user"]
if TYPE_CHECKING:
    __all__ += ["Port", "Resource", "Script", "Told"]

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
STREAMS = ("stdout", "stderr")
# CHECKS has a file for each task with health checks, of its id; CHECK_STATES has what came of them.
CHECKS, CHECK_STATES = CONFIGURATION + "/checks", RUNTIME + "/checks"
# Of all that is kept on a robot for a later engine (state/formats.py).
KEPT_VERSION = 3
# Who our helpers are that need no rights: no user of any robot has this number, so that no task can end one of them, or look into it.
NO_USER = 65535
# PODS has a file for each pod, of its id. The network namespace of a pod is the file NETWORKS and its id; all pods are on the bridge.
# ROUTES has a file for each group with pods, of its id: where the pods of other robots are.
PODS, POD_STATES, BRIDGE = CONFIGURATION + "/pods", RUNTIME + "/pods", "k8s4r0"
NETWORKS, ROUTES = "/run/netns/k8s4r-", CONFIGURATION + "/routes"
# Mbit/s: what a pod may be limited to. The kernel counts a burst of such a limit, a 100th of a second, in 32 bits.
FASTEST = 3_000_000
# NAMES has a file for each service whose name the robot's own DNS server knows; that answers at LOOPBACK_DNS, too, where it is asked to.
NAMES, LOOPBACK_DNS = CONFIGURATION + "/names", "127.0.0.153"
# REGISTERED has a file for each service of an instance that Consul is to know: its name is the task's id, a dash, a word and `.json`.
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
# Where systemd keeps when a timer that makes up for what it missed was last due; systemd.timer(5), Persistent=.
TIMER_STAMPS = "/var/lib/systemd/timers"
# Where the role spire_agent notes as whom the robot's agent has attested: one file, whose name says it, with an @ before the way in which
# it has, if that is not by a node certificate.
AGENT_NAMES = "/etc/spire/agent/names"
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


def fifos(logs: str) -> list[str]:
    """Those of the task that has its log files in this directory."""
    return [f"{FIFOS}/{logs.split('/')[-2]}.{stream}" for stream in STREAMS]


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
    never: t.Iterable[int] = (),
) -> Port:
    """A port that the group listens on; ``where`` is the job file's path of it, for the message of a conflict.

    ``unit``: the one that listens. It is started again where nobody does; empty for none. ``protocol``: tcp or udp. ``called``: by this
    the group knows one of its tasks' ports, where tasks may listen and need not: ``r0 http``. ``chosen``: any other number of CHOSEN
    would do as well, and the robot says which, where it cannot be this one. ``addressed``: the job file's path of the address, where that
    is a particular one of the robot's. ``never``: numbers that one which is chosen cannot have.
    """
    made: Port = {"address": address, "port": number, "where": where, "unit": unit}
    if protocol != "tcp":
        made["protocol"] = protocol
    if called:
        made["called"] = called
    if addressed:
        made["addressed"] = addressed
    if chosen:
        made["chosen"] = True
        numbers = sorted(number for number in never if CHOSEN[0] <= number <= CHOSEN[1])
        if numbers:
            made["never"] = numbers
    return made
