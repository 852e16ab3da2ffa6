# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of everything that we make on a robot. No other file makes one up.

A name has a readable stem and 8 hexadecimal digits of a digest. The digest is made from the list of the full name's parts, so
that `a-b`, `c` and `a`, `b-c` get different names. A unit's name stays within systemd's limit of 255 characters, a user's
within 31 (systemd's strict user names).
"""

from __future__ import annotations

import functools
import hashlib
import json
import re

from ..job.model.vocabulary import HOST_LABEL

_STEM, _USER_STEM, _LABEL = 60, 12, 63
_OTHERS = re.compile(r"[^a-z0-9]+")

# What the ids of all our registration entries begin with.
ENTRY_PREFIX = "k8s4r."

# The slice of all proxies: what they use does not count as the groups'.
PROXY_SLICE = "k8s4r-proxy.slice"

# What a proxy finds endpoints for, as the names of their files have it: a service of its own group, of which the instances are on its own
# robot; and services that it calls, or leads to.
OWN, UPSTREAM, INGRESS = "service", "upstream", "ingress"


@functools.lru_cache(maxsize=4096)
def _stem(parts: tuple[str, ...], limit: int) -> str:
    text = _OTHERS.sub("-", "-".join(parts).lower()).strip("-")
    return text[:limit].strip("-") or "x"


@functools.lru_cache(maxsize=4096)
def _digest(kind: str, parts: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()[:8]


def endpoints_file(of: str, name: str) -> str:
    """A file of endpoints; `of` is one of the three above."""
    return f"endpoints-{of}-{name}.json"


def endpoints_of(path: str) -> str:
    """What a file has endpoints of, one of the three above; empty for a file of something else."""
    kinds = (OWN, UPSTREAM, INGRESS)
    return next((each for each in kinds if path.rpartition("/")[2].startswith(f"endpoints-{each}-")), "")


def group_id(namespace: str, job: str, group: str) -> str:
    return f"{_stem((job, group), _STEM)}-{_digest('group', (namespace, job, group))}"


def task_id(namespace: str, job: str, group: str, index: int, task: str) -> str:
    return f"{_stem((job, group, f'r{index}', task), _STEM)}-{_digest('task', (namespace, job, group, str(index), task))}"


def init_id(namespace: str, job: str, group: str, task: str) -> str:
    return f"{_stem((job, group, task), _STEM)}-{_digest('init', (namespace, job, group, task))}"


def pod_id(group: str, instance: int) -> str:
    return f"{group}-r{instance}"


def pod_name(namespace: str, job: str, group: str, index: int) -> str:
    """A pod's name is one that DNS takes, too."""
    end = f"-{_digest('group', (namespace, job, group))}-r{index}"
    return f"{_stem((job, group), _LABEL - len(end))}{end}"


@functools.lru_cache(maxsize=4096)
def alloc_id(namespace: str, job: str, group: str, index: int) -> str:
    """NOMAD_ALLOC_ID of an instance: it has the form of a UUID and is the same in every run."""
    text = hashlib.sha256(json.dumps(["alloc", namespace, job, group, index]).encode()).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def template(destination: str) -> str:
    """The file that keeps what is put there, by the destination as the job file has it."""
    return f"{_stem((destination,), _STEM)}-{_digest('template', (destination,))}"


def registration(task: str, service: str, label: str, before: int) -> str:
    """A service of a task in Consul. `before`: how many the task has before it with the same name and label."""
    return f"{task}-{_digest('registration', (service, label, str(before)))}"


def service(name: str) -> str:
    """In the name of a file: an inbound service by `namespace/job/group/name`."""
    parts = tuple(name.split("/"))
    return f"{_stem(parts[1:], _STEM)}-{_digest('service', parts)}"


def full_name(written: str, namespace: str) -> str:
    """`namespace/job/group/name` of what a job in `namespace` calls `[namespace/]job/group/name`."""
    return written if written.count("/") == 3 else f"{namespace}/{written}"


def as_allowed(group: tuple[str, str, str], service: str) -> str:
    """How the `allow` of a service names a group, `(namespace, job, name)`: within its own job, by the name alone."""
    namespace, job, name = group
    return f"{{group: {name}}}" if service.split("/")[:2] == [namespace, job] else f"{{namespace: {namespace}, job: {job}, group: {name}}}"


def service_host(name: str) -> str:
    """What an inbound service, `namespace/job/group/name`, is called where a host is asked for."""
    _namespace, job, group, service = name.split("/")
    return f"{service}.{group}.{job}.svc"


def is_host(name: str) -> bool:
    """Whether DNS, and every resolver, takes a name."""
    return len(name) <= 253 and re.fullmatch(rf"{HOST_LABEL}(\.{HOST_LABEL})*", name) is not None


def entry_id(trust_domain: str, namespace: str, job: str, group: str, robot: str, instance: int | None) -> str:
    """The id of a registration entry; of a pod's, with its instance. By its prefix we know our own entries again."""
    of = [trust_domain, namespace, job, group, robot, *([] if instance is None else [instance])]
    return f"{ENTRY_PREFIX}{hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]}"


def agent_id(trust_domain: str, robot: str, attestor: str) -> str:
    """The parent of a robot's registration entries. It is made from the robot's name, so that entries outlive a renewed certificate.

    An agent that joined with a token has no such id; its parent is the alias that the token was made for.
    """
    path = "robot" if attestor == "join_token" else "spire/agent/x509pop"
    return f"spiffe://{trust_domain}/{path}/{robot}"


def agent_note(robot: str, attestor: str) -> str:
    """The name of the file by which the role spire_agent notes as whom a robot's agent has attested. Whoever attests in another way has
    another id, and so other registration entries.
    """
    return robot if attestor == "x509pop" else f"{robot}@{attestor}"


def spiffe_id(trust_domain: str, namespace: str, job: str, group: str) -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/job/{job}/group/{group}"


def user(namespace: str, job: str, group: str) -> str:
    return f"k8s4r-{_stem((job, group), _USER_STEM)}-{_digest('group', (namespace, job, group))}"


def proxy_user(namespace: str, job: str, group: str) -> str:
    return f"k8s4r-p-{_stem((job, group), _USER_STEM)}-{_digest('group', (namespace, job, group))}"


def slice_unit(group: str) -> str:
    """In the name of a slice `-` means a level, so those of the id become `_`: the slice is a direct child of k8s4r.slice."""
    return f"k8s4r-{group.replace('-', '_')}.slice"


def task_slice(group: str, task: str, init: bool = False) -> str:
    """The slice of a task's container, in its group's. Neither id has a `_` of its own: one at its beginning says that it is of an init
    task.
    """
    return f"{slice_unit(group)[: -len('.slice')]}-{'_' if init else ''}{task.replace('-', '_')}.slice"


def target_unit(group: str) -> str:
    return f"k8s4r-group-{group}.target"


def proxy_unit(group: str) -> str:
    return f"k8s4r-proxy-{group}.service"


def init_unit(init: str) -> str:
    return f"k8s4r-init-{init}.service"


def memory_unit(group: str) -> str:
    """The unit that mounts what the group's tasks see as /dev/shm."""
    return f"k8s4r-memory-{group}.service"


def namespaces_unit(group: str, instance: int) -> str:
    return f"k8s4r-namespaces-{group}-r{instance}.service"


def pod_unit(pod: str) -> str:
    return f"k8s4r-pod-{pod}.service"


def first_process(group: str, instance: int) -> int:
    """After which number the process IDs of an instance's own PID namespace begin; below the lowest limit of any Linux, 32,768."""
    return 1000 + int(_digest("processes", (group, str(instance))), 16) % 30000


def project(id: str) -> int:
    """By this number, of 31 bits, a file system counts what the group or task with an id keeps; above those that people usually choose."""
    lowest = 2**16
    return lowest + int(_digest("project", (id,)), 16) % (2**31 - lowest)


def run_unit(group: str) -> str:
    return f"k8s4r-run-{group}.service"


def task_unit(task: str) -> str:
    return f"k8s4r-task-{task}.service"


def watch_unit(of: str) -> str:
    """What renders texts anew when Consul knows something else: those of a task, or of a proxy, by its group's or its pod's id."""
    return f"k8s4r-watch-{of}.service"


def log_socket(task: str) -> str:
    """Of a task or an init task."""
    return f"k8s4r-log-{task}.socket"


def log_holder(task: str) -> str:
    """An instance of the engine's own unit (`_engine/system/own.py`)."""
    return f"k8s4r-log@{task}.service"
