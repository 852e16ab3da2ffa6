# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job file as frozen dataclasses: the single source of its keys, their types, limits and documentation.

Attribute names are the file's camelCase keys in snake_case. Quantities and durations are numbers with units by the
time they are here. Keys that the format reserves for later are declared too, as ``Support.REFUSED``.
"""

from __future__ import annotations

import enum
import typing as t

from .declare.keys import Bytes, Millicores, Seconds, Support, field, key
from .declare.record import record
from .errors import Problem

# Patterns are ECMA 262's, as the JSON Schema wants them, and mean the same to Python.
NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST_PORT = rf"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?):{PORT}"
SIGNAL = (
    r"SIG(HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP|TSTP|TTIN|TTOU"
    r"|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS|RTMIN(\+([1-9]|[12][0-9]|30))?|RTMAX(-([1-9]|[12][0-9]|30))?)"
)
PATH = r"/[^\x00-\x1f]*"
SUBSTITUTED = r"[^\x00-\x20]*\$\{[^\x00-\x20]+\}[^\x00-\x20]*"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
ADDRESS = r"((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)"


class JobType(enum.Enum):
    SERVICE = "service"
    BATCH = "batch"
    SYSTEM = "system"


class Driver(enum.Enum):
    EXEC = "exec"
    RAW_EXEC = "raw_exec"
    DOCKER = "docker"
    JAVA = "java"


class Protocol(enum.Enum):
    TCP = "tcp"
    HTTP = "http"
    GRPC = "grpc"


class RestartMode(enum.Enum):
    FAIL = "fail"
    DELAY = "delay"


class CheckType(enum.Enum):
    HTTP = "http"
    TCP = "tcp"
    SCRIPT = "script"
    GRPC = "grpc"


class CheckStatus(enum.Enum):
    CRITICAL = "critical"
    WARNING = "warning"
    PASSING = "passing"


class DelayFunction(enum.Enum):
    CONSTANT = "constant"
    EXPONENTIAL = "exponential"
    FIBONACCI = "fibonacci"


class NetworkType(enum.Enum):
    ENVOY = "envoy"
    NONE = "none"


class NetworkMode(enum.Enum):
    HOST = "host"
    GROUP = "group"


class TlsMode(enum.Enum):
    NONE = "none"
    SPIFFE = "spiffe"
    SYSTEM = "system"
    CUSTOM = "custom"


class Operand(enum.Enum):
    EQUAL = "="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="
    REGEXP = "regexp"
    SET_CONTAINS = "set_contains"
    VERSION = "version"


@record
class Constraint:
    """A condition on a robot; a robot that fails it gets no instance of the group."""

    l_target: str = key("What is compared, `${attr.<name>}`, `${meta.<key>}`, `${node.class}` or text.", aliases=("ltarget",))
    operand: Operand = key("How it is compared.", default=Operand.EQUAL)
    r_target: str = key("What it is compared with.", default="", aliases=("rtarget",))


@record
class RestartPolicy:
    """What happens when a task ends though it should run; the attempts count within one interval."""

    attempts: int | None = key("Restarts allowed within one interval.", default=None, minimum=0, maximum=1000)
    interval: Seconds | None = key("Length of the window in which attempts count; it starts with the first one.", default=None, minimum=1)
    delay: Seconds | None = key("Pause before a restart.", default=None, minimum=0)
    mode: RestartMode | None = key("When the attempts are used up: `fail` stops, `delay` waits until the interval ends.", default=None)


@record
class ExecConfig:
    """A program and its arguments, for the drivers exec and raw_exec."""

    command: str = key(
        "Program: a name looked up in PATH, an absolute path, or a path in the task's working directory.",
        substituted=True, pattern=r"[^\x00]+", says="a program",
    )  # fmt: skip
    args: tuple[str, ...] = key("Arguments; each reaches the program byte for byte.", factory=tuple, substituted=True)


class Reserved:
    """The type of a key that this version refuses unread."""


@record
class TaskConfig:
    """The driver's own settings; exactly the one of the task's driver is given."""

    exec_config: ExecConfig | None = key("For exec and raw_exec.", default=None)
    docker_config: Reserved | None = key("For docker.", default=None, support=Support.REFUSED)
    java_config: Reserved | None = key("For java.", default=None, support=Support.REFUSED)


@record
class NetworkResource:
    """Bandwidth and ports of one task."""

    mbits: int | None = key("Bandwidth, in Mbit/s.", default=None, minimum=0)
    reserved_ports: tuple[Reserved, ...] = key("Static ports.", factory=tuple, support=Support.REFUSED)
    dynamic_ports: tuple[Reserved, ...] = key("Dynamic ports.", factory=tuple, support=Support.REFUSED)


@record
class Resources:
    """Hard limits of one task's processes together (of a whole group where it stands on a group)."""

    cpu: Millicores | None = key("CPU time: `500m`, `0.5` or `2` cores.", default=None, minimum=1, maximum=64000)
    memory: Bytes | None = key("Memory: `128Mi`.", default=None, minimum=4 * 2**20, maximum=2**50)
    disk: Bytes | None = key("Disk space.", default=None, maximum=2**60, support=Support.NOT_ACTED_ON)
    iops: int | None = key("Disk operations per second.", default=None, minimum=0, support=Support.NOT_ACTED_ON)
    networks: tuple[NetworkResource, ...] = key("Bandwidth and ports of the task.", factory=tuple, support=Support.NOT_ACTED_ON)


@record
class Readiness:
    """When a daemon init task counts as ready; exactly one of the first four keys."""

    command: str | None = key("Shell command that succeeds once the daemon is ready; tried five times a second.", default=None)
    port: int | None = key("TCP port on 127.0.0.1 that accepts a connection.", default=None, minimum=1, maximum=65535)
    file: str | None = key("Path that exists.", default=None, pattern=PATH, says="an absolute path")
    notify: bool = key("The daemon says READY=1 itself (sd_notify).", default=False)
    timeout: Seconds = key("How long to wait for it.", default=Seconds(30), minimum=0.1, maximum=3600)


@record
class Check:
    """A health check of a service."""

    name: str = key("Name of the check.", pattern=NAME)
    type: CheckType = key("What is tried.")
    command: str | None = key("Command of a script check.", default=None)
    args: tuple[str, ...] = key("Its arguments.", factory=tuple)
    path: str | None = key("Path of an http check.", default=None)
    protocol: str | None = key("http or https.", default=None, pattern="https?", says="http or https")
    port_label: str | None = key("Port, in place of the service's.", default=None)
    interval: Seconds | None = key("Time between two checks.", default=None, minimum=0.1)
    timeout: Seconds | None = key("Longest wait for an answer.", default=None, minimum=0.1)
    initial_status: CheckStatus | None = key("Status before the first check.", default=None)


@record
class Service:
    """A service of a task, for service discovery."""

    name: str = key("Name under which it is found.", pattern=NAME)
    port_label: str = key("Label of its port.")
    tags: tuple[str, ...] = key("Tags.", factory=tuple)
    checks: tuple[Check, ...] = key("Health checks.", factory=tuple)


@record
class Task:
    """One program of a group."""

    name: str = key("Unique in its group.", pattern=NAME)
    config: TaskConfig = key("The driver's settings.")
    driver: Driver = key("How it runs.", default=Driver.EXEC, refused_values=(Driver.DOCKER, Driver.JAVA))
    resources: Resources = key("Limits of this task.", factory=Resources)
    env: t.Mapping[str, str] = key(
        "Environment variables; they win over injected ones.", factory=dict, substituted=True, secret=True, key_pattern=VARIABLE
    )
    user: str | None = key(
        "User to run as, in place of the group's own.", default=None, pattern=r"[A-Za-z_][A-Za-z0-9_-]{0,30}", says="a user's name"
    )
    timeout: Seconds | None = key("Longest run; the task is stopped when it is over.", default=None, minimum=0.1)
    kill_timeout: Seconds = key("Time between the kill signal and SIGKILL.", default=Seconds(5), minimum=0, maximum=86400)
    kill_signal: str = key(
        "Signal that asks the task to end.", default="SIGTERM", ours=True, pattern=SIGNAL, says="a signal, such as SIGTERM or SIGRTMIN+3"
    )
    restart_policy: RestartPolicy | None = key("In place of the group's.", default=None)
    constraints: tuple[Constraint, ...] = key("As on the group.", factory=tuple)
    network: Network | None = key("Lifted to the group; two that differ are an error.", default=None)
    services: tuple[Service, ...] = key("Services and checks.", factory=tuple, support=Support.NOT_ACTED_ON)
    artifacts: tuple[Reserved, ...] = key("Downloads.", factory=tuple, support=Support.REFUSED)
    templates: tuple[Reserved, ...] = key("Rendered files.", factory=tuple, support=Support.REFUSED)
    logs: Reserved | None = key("Log rotation.", default=None, ours=True, support=Support.REFUSED)
    lifecycle: Reserved | None = key("Hooks and sidecars.", default=None, ours=True, support=Support.REFUSED)
    isolation: Reserved | None = key("Isolation options.", default=None, ours=True, support=Support.REFUSED)


@record
class InitTask(Task):
    """A step that prepares the robot for its group: once per group and robot, in order, before the tasks, as root unless
    it names a user. It sees the robot as it is, so the drivers exec and raw_exec are the same for it.
    """

    daemon: bool = key("It keeps running; the next step starts when it is ready.", default=False)
    readiness: Readiness | None = key("When the daemon is ready; without it, when it has started.", default=None, ours=True)


@record
class Tls:
    """How a connection to an upstream is secured. `true` means `{mode: spiffe}`, `false` means `{mode: none}`."""

    mode: TlsMode = key(
        "spiffe is mTLS with one exact peer; none is plaintext.", default=TlsMode.SPIFFE, refused_values=(TlsMode.SYSTEM, TlsMode.CUSTOM)
    )
    spiffe_id: str | None = key(
        "The peer's exact identity.",
        default=None,
        ours=True,
        pattern=r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+",
        says="spiffe://<trust domain>/<path>",
    )
    sni: Reserved | None = key("Server name.", default=None, ours=True, support=Support.REFUSED)
    ca_file: Reserved | None = key("Certificate authorities of the peer.", default=None, ours=True, support=Support.REFUSED)


@record
class Upstream:
    """A service elsewhere that the group reaches at 127.0.0.1:localPort."""

    name: str = key("Names the injected variables.", pattern=NAME)
    local_port: int = key("Port of the listener on 127.0.0.1.", minimum=1, maximum=65535)
    upstream: str = key(
        "host:port, a bracketed address for IPv6.",
        substituted=True,
        pattern=rf"{HOST_PORT}|{SUBSTITUTED}",
        says="host:port or [IPv6 address]:port",
    )
    protocol: Protocol = key("What is spoken.", default=Protocol.TCP)
    tls: Tls = key(
        "`true` (SPIFFE mTLS), `false` (plaintext) or a mapping.", factory=Tls, shorthand={True: Tls(), False: Tls(mode=TlsMode.NONE)}
    )
    database: str = key(
        "Database named in DATABASE_URL.", default="mydb", ours=True, pattern=r"[^/?#\x00-\x20]+", says="a name without / ? # and blanks"
    )
    scheme: str = key(
        "Scheme of DATABASE_URL.", default="postgresql", ours=True, pattern=r"[a-z][a-z0-9+.-]*", says="a URL scheme, such as postgresql"
    )


@record
class Allowed:
    """A group that may call a service."""

    group: str = key("Name of the task group.", pattern=NAME)
    job: str | None = key("Its job; default: this one.", default=None, pattern=NAME)
    namespace: str | None = key("Its namespace; default: this job's.", default=None, pattern=NAME)


@record
class InboundService:
    """A port of the robot where the group's proxy ends mTLS and lets exactly the allowed groups in."""

    name: str = key("Unique in its group.", pattern=NAME)
    port: int = key("Port of the listener.", minimum=1, maximum=65535)
    to: str = key("host:port on the robot that is served.", pattern=HOST_PORT, says="host:port or [IPv6 address]:port")
    address: str = key("Address of the listener.", default="0.0.0.0", pattern=ADDRESS, says="an IP address of the robot")
    protocol: Protocol = key("What is spoken.", default=Protocol.TCP)
    allow: tuple[Allowed, ...] = key("Who may call; nobody else gets in.", factory=tuple)


@record
class Spiffe:
    """Where the group's identity comes from; both must match the inventory."""

    trust_domain: str | None = key(
        "Trust domain of the fleet.", default=None, pattern=r"[a-z0-9._-]{1,255}", says="a trust domain: lower-case letters, digits, . _ -"
    )
    agent_socket_path: str | None = key("Socket of the robot's SPIRE agent.", default=None, pattern=PATH, says="an absolute path")


@record
class Network:
    """The group's connections: one Envoy per group and robot carries them."""

    enabled: bool = key("`false` is as if `network` were not written.", default=True)
    type: NetworkType = key("envoy, or none for no proxy.", default=NetworkType.ENVOY)
    mode: NetworkMode = key(
        "host: the robot's own network; group is refused today.", default=NetworkMode.HOST, ours=True, refused_values=(NetworkMode.GROUP,)
    )
    spiffe: Spiffe = key("Identity.", factory=Spiffe)
    upstreams: tuple[Upstream, ...] = key("What the group calls.", factory=tuple)
    services: tuple[InboundService, ...] = key("What the group serves.", factory=tuple, ours=True)
    ports: Reserved | None = key("Published ports.", default=None, ours=True, support=Support.REFUSED)
    local_tls: bool = key("The group's certificate on the loopback listeners.", default=False, ours=True, support=Support.REFUSED)


@record
class ReschedulePolicy:
    """How a failed instance moves to another robot."""

    attempts: int | None = key("Moves allowed within one interval.", default=None, minimum=0)
    interval: Seconds | None = key("Length of the window in which attempts count.", default=None, minimum=0)
    delay: Seconds | None = key("Pause before a move.", default=None, minimum=0)
    delay_function: DelayFunction | None = key("How the pause grows.", default=None)
    max_delay: Seconds | None = key("Longest pause.", default=None, minimum=0)
    unlimited: bool | None = key("No limit of attempts.", default=None)


@record
class EphemeralDisk:
    """The group's shared disk space."""

    size_mb: int | None = key("Size, in MB.", name="sizeMB", default=None, minimum=0)
    sticky: bool | None = key("Kept over updates.", default=None)
    migrate: bool | None = key("Moved with the instance.", default=None)


@record
class Update:
    """How a new version replaces the old one over the robots."""

    max_parallel: int | None = key("Instances replaced at a time.", default=None, minimum=0)
    canary: int | None = key("New instances tried first.", default=None, minimum=0)
    min_healthy_time: Seconds | None = key("How long an instance must be healthy.", default=None, minimum=0)
    healthy_deadline: Seconds | None = key("Time within which it must become healthy.", default=None, minimum=0)
    auto_revert: bool | None = key("Back to the last good version on failure.", default=None)


@record
class TaskGroup:
    """Tasks that run together on a robot and share identity, proxy, user and slice."""

    name: str = key("Unique in its job.", pattern=NAME)
    count: int = key("Instances over all robots; for a system job 1.", default=1, minimum=0, maximum=10000)
    init_tasks: tuple[InitTask, ...] = key("Steps before the tasks.", factory=tuple)
    tasks: tuple[Task, ...] = key("The programs; at least one, or none where an inbound service is declared.", factory=tuple)
    constraints: tuple[Constraint, ...] = key("Conditions on the robots.", factory=tuple)
    restart_policy: RestartPolicy | None = key("For every task that has none of its own.", default=None)
    resources: Resources | None = key("The cap of the whole group.", default=None, ours=True)
    meta: t.Mapping[str, str] = key("`NOMAD_META_<KEY>`; wins over the job's.", factory=dict, substituted=True, secret=True)
    network: Network | None = key("Connections.", default=None)
    reschedule_policy: ReschedulePolicy | None = key("Moves to other robots.", default=None, support=Support.NOT_ACTED_ON)
    ephemeral_disk: EphemeralDisk | None = key("Shared disk.", default=None, support=Support.NOT_ACTED_ON)


@record
class Job:
    """What a run is given: task groups, and the robots that they are for."""

    name: str = key("Unique in its namespace.", pattern=NAME)
    task_groups: tuple[TaskGroup, ...] = key("At least one.", min_items=1)
    namespace: str = key("Keeps jobs of one name apart.", default="default", pattern=NAME)
    type: JobType = key("service keeps running, batch runs to its end, system runs on every robot.", default=JobType.SERVICE)
    robot_selector: t.Mapping[str, str] = key("Labels that a robot must all have.", factory=dict)
    datacenters: tuple[str, ...] = key("The robot's datacenter is one of these; empty: any.", factory=tuple)
    priority: int = key("Rank against other jobs.", default=50, minimum=0, maximum=100, support=Support.NOT_ACTED_ON)
    meta: t.Mapping[str, str] = key("`NOMAD_META_<KEY>` of every task.", factory=dict, substituted=True, secret=True)
    constraints: tuple[Constraint, ...] = key("Conditions on the robots, for every group.", factory=tuple)
    update: Update | None = key("Rolling updates.", default=None, ours=True, support=Support.NOT_ACTED_ON)
    schedule: Reserved | None = key("Periodic runs.", default=None, ours=True, support=Support.REFUSED)
    # Where it was written, as the reader says: file, line, what stands before its own keys in their paths (`spec.` in a
    # k8s4r document), and line and column of every path.
    path: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    root: str = field(default="", compare=False)
    positions: t.Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def problem(self, path: str, message: str, remedy: str = "") -> Problem:
        """An error or warning about the key `path` of this job, `taskGroups[0].name`."""
        full = self.root + path
        return Problem(self.path, message, remedy, full, *position_of(self.positions, full, (self.line, 0)))


def position_of(positions: t.Mapping[str, tuple[int, int]], path: str, default: tuple[int, int]) -> tuple[int, int]:
    """Line and column of a path, or of the nearest thing above it that is written in the file."""
    while path and path not in positions:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return positions.get(path, default)
