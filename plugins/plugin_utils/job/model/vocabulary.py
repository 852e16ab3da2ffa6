# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns and enumerations of the job file."""

from __future__ import annotations

import enum

# Patterns are ECMA 262's, as the JSON Schema wants them, and mean the same to Python.
NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST_PORT = rf"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?):{PORT}"
# Of a service, as Consul's DNS takes it.
NAME_IN_CONSUL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Of an inbound service: its namespace, which may be left out, its job, its group and its own name.
SERVICE = rf"({NAME}/)?{NAME}/{NAME}/{NAME}"
# As robots name groups and services: with all that a group is in, and a service.
FULL_GROUP, FULL_SERVICE = rf"{NAME}(/{NAME}){{2}}", rf"{NAME}(/{NAME}){{3}}"
TRUST_DOMAIN = r"[a-z0-9._-]{1,255}"
SPIFFE_ID = r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+"
# A number, or the name of a port.
PORT_LABEL = rf"{PORT}|{NAME}"
SIGNALS = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
    "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
    "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS", "SIGRTMIN", "SIGRTMAX",
)  # fmt: skip
# That of SIGRTMIN, as programs see it; signal(7). The others are numbered from 1, in the order above, on amd64 and arm64.
SIGRTMIN, SIGRTMAX = 34, 64
SIGNAL = rf"{'|'.join(SIGNALS)}|SIGRTMIN\+([1-9]|[12][0-9]|30)|SIGRTMAX-([1-9]|[12][0-9]|30)"
# Those of capabilities(7) with which a program stays within its walls.
HARMLESS = (
    "BLOCK_SUSPEND", "IPC_LOCK", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SYS_NICE", "SYS_TIME", "WAKE_ALARM",
)  # fmt: skip
# All of them.
CAPABILITIES = (
    *HARMLESS, "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH",
    "FOWNER", "FSETID", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "PERFMON",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_PACCT", "SYS_PTRACE",
    "SYS_RAWIO", "SYS_RESOURCE", "SYS_TTY_CONFIG",
)  # fmt: skip
CAPABILITY = "|".join(CAPABILITIES)
PATH = r"/[^\x00-\x1f]*"
# systemd puts a colon between the two places of a volume.
PLACE = r"/[^\x00-\x1f:]*"
ZONE = r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"
USER = r"[A-Za-z_][A-Za-z0-9_-]{0,30}"
CPUS = r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*"
DEVICE = r"/dev/[^\x00-\x1f]+"
HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,20}"
SUBSTITUTED = r"[^\x00-\x20]*\$\{[^\x00-\x20]+\}[^\x00-\x20]*"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
ADDRESS = r"((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)"

# Of HTTP: a method and the name of a header, RFC 9110.
METHOD = r"[A-Z]{1,20}"
HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
SERVER_NAME = r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?"

DEFAULT_NAMESPACE = "default"


class JobType(enum.Enum):
    SERVICE = "service"
    BATCH = "batch"
    SYSTEM = "system"


class Driver(enum.Enum):
    EXEC = "exec"
    RAW_EXEC = "raw_exec"
    DOCKER = "docker"
    JAVA = "java"
    PODMAN = "podman"


class DockerNetwork(enum.Enum):
    HOST = "host"
    BRIDGE = "bridge"
    NONE = "none"


class Pull(enum.Enum):
    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class Protocol(enum.Enum):
    TCP = "tcp"
    HTTP = "http"
    GRPC = "grpc"


class Transport(enum.Enum):
    TCP = "tcp"
    UDP = "udp"


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


class CheckProtocol(enum.Enum):
    HTTP = "http"
    HTTPS = "https"


class GetterMode(enum.Enum):
    ANY = "any"
    FILE = "file"
    DIR = "dir"


class Provider(enum.Enum):
    NATIVE = "native"
    NOMAD = "nomad"
    CONSUL = "consul"


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


class AccessLog(enum.Enum):
    CONNECTIONS = "connections"
    REQUESTS = "requests"
    NONE = "none"


class TlsMode(enum.Enum):
    NONE = "none"
    SPIFFE = "spiffe"
    SYSTEM = "system"
    CUSTOM = "custom"


class IngressTlsMode(enum.Enum):
    NONE = "none"
    FILES = "files"


class KillMode(enum.Enum):
    MAIN = "main"
    ALL = "all"


class ChangeMode(enum.Enum):
    RESTART = "restart"
    NOOP = "noop"
    SIGNAL = "signal"
    SCRIPT = "script"


class Hook(enum.Enum):
    PRESTART = "prestart"
    POSTSTART = "poststart"
    POSTSTOP = "poststop"


class OnFull(enum.Enum):
    BLOCK = "block"
    DROP = "drop"


class RealtimePolicy(enum.Enum):
    FIFO = "fifo"
    RR = "rr"


class Sharing(enum.Enum):
    OWN = "own"
    GROUP = "group"
    HOST = "host"


class Users(enum.Enum):
    OWN = "own"
    HOST = "host"


class Files(enum.Enum):
    """From the weakest wall to the strongest."""

    READONLY = "readonly"
    PRIVATE = "private"
    CHROOT = "chroot"


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


class Reserved:
    """The type of a key that this version refuses."""
