# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment contract: what a task of a group finds in its environment on a robot."""

from __future__ import annotations

import re
import typing as t

from ...envoy.listeners import LOOPBACK
from ...job.errors import child
from ...job.model.task import Task
from ...job.model.vocabulary import Protocol
from ...job.variables import is_database, variable
from .. import names, systemd
from ..site import DATA, Site

# What glibc itself drops where privileges are gained (its unsecvars.h): programs that root starts on the task's behalf must
# not see them.
_LOADER = re.compile(
    r"LD_.*|MALLOC_.*|GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|LOCPATH|NIS_PATH|NLSPATH|RES_OPTIONS|RESOLV_HOST_CONF|TMPDIR|TZDIR"
)


def task_directory(task_id: str) -> str:
    return f"{DATA}/tasks/{task_id}"


def of_task(site: Site, task: Task, path: str, task_id: str, index: int | None) -> dict[str, str]:
    """Injected variables, over them the task's own. `index` is None for an init task, which belongs to no instance."""
    injected = {**_upstreams(site), **of_group(site), **_of_instance(site, task, task_id, index)}
    own = {name: site.text(value, f"{path}.env.{name}", injected) for name, value in task.env.items()}
    variables = {**injected, **own}
    _refuse_what_systemd_loses(site, task, path, variables)
    return variables


def _refuse_what_systemd_loses(site: Site, task: Task, path: str, variables: t.Mapping[str, str]) -> None:
    """The error names the key that the value comes from; of the value it shows nothing, since any value may be secret."""
    metas = (("meta", site.job.meta), (f"{site.path}.meta", site.group.meta))
    written = {f"NOMAD_META_{variable(key)}": child(owner, key) for owner, meta in metas for key in meta}
    written.update((name, child(f"{path}.env", name)) for name in task.env)
    version = site.robot.systemd
    remedy = f"change the value, update systemd to {systemd.FAITHFUL_ENVIRONMENT}, or exclude the robot by a constraint"
    for name, value in variables.items():
        lost = systemd.lost_in_environment_file(value, version)
        if lost:
            found = f"{name} would not reach the task: systemd {version} on robot {site.robot.name} {lost}"
            site.error(written.get(name, path), found, remedy)


def loader_variables(environment: t.Mapping[str, str]) -> list[str]:
    """Names of the variables that may be set only after root's privileges are gone."""
    return sorted(name for name in environment if _LOADER.fullmatch(name))


def _upstreams(site: Site) -> dict[str, str]:
    variables: dict[str, str] = {}
    upstreams = site.network.upstreams if site.network else ()
    for upstream in upstreams:
        name, port = variable(upstream.name), str(upstream.local_port)
        address = f"{LOOPBACK}:{port}"
        variables[f"PROXY_{name}_PORT"] = variables[f"NOMAD_UPSTREAM_PORT_{name}"] = port
        variables[f"PROXY_{name}_ADDR"] = variables[f"NOMAD_UPSTREAM_ADDR_{name}"] = address
        variables[f"NOMAD_UPSTREAM_IP_{name}"] = LOOPBACK
        if upstream.protocol is not Protocol.TCP:
            # The local hop is plaintext, so https:// could never be opened.
            variables[f"{name}_URL"] = f"http://{address}"
    databases = [upstream for upstream in upstreams if is_database(upstream)]
    if databases:
        first = databases[0]
        variables["DATABASE_HOST"], variables["DATABASE_PORT"] = LOOPBACK, str(first.local_port)
        variables["DATABASE_URL"] = f"{first.scheme}://{LOOPBACK}:{first.local_port}/{first.database}"
    return variables


def warn_of_databases(site: Site) -> None:
    """Several database upstreams: the first declared owns DATABASE_*."""
    databases = [upstream.name for upstream in (site.network.upstreams if site.network else ()) if is_database(upstream)]
    if len(databases) > 1:
        others = ", ".join(databases[1:])
        site.warn(f"{site.path}.network.upstreams", f"DATABASE_* is for {databases[0]!r}, the first; {others}: by PROXY_* alone")


def of_group(site: Site) -> dict[str, str]:
    """What Nomad tells every task of a group; these names may stand in `meta` and `upstream` too."""
    job, group = site.job, site.group
    variables = {
        "NOMAD_GROUP_NAME": group.name,
        "NOMAD_JOB_ID": job.name,
        "NOMAD_JOB_NAME": job.name,
        "NOMAD_NAMESPACE": job.namespace,
        "NOMAD_DC": site.robot.datacenter,
        "NOMAD_REGION": "global",
        "NOMAD_ALLOC_DIR": site.alloc,
        "NOMAD_PARENT_CGROUP": f"k8s4r.slice/{site.slice}",
    }
    meta = {}
    for owner, values in (("meta", job.meta), (f"{site.path}.meta", group.meta)):
        for name, value in values.items():
            meta[f"NOMAD_META_{variable(name)}"] = site.text(value, f"{owner}.{name}", variables)
    return {**variables, **meta}


def _of_instance(site: Site, task: Task, task_id: str, index: int | None) -> dict[str, str]:
    directory = task_directory(task_id)
    variables = {
        "NOMAD_TASK_NAME": task.name,
        "NOMAD_TASK_DIR": f"{directory}/local",
        "NOMAD_SECRETS_DIR": f"{directory}/secrets",
    }
    if index is not None:
        alloc = names.alloc_id(*site.names, index)
        variables["NOMAD_ALLOC_ID"], variables["NOMAD_SHORT_ALLOC_ID"] = alloc, alloc[:8]
        variables["NOMAD_ALLOC_NAME"] = f"{site.job.name}.{site.group.name}[{index}]"
        variables["NOMAD_ALLOC_INDEX"] = str(index)
    if task.resources.cpu:
        variables["NOMAD_CPU_LIMIT"] = str(int(task.resources.cpu))
    if task.resources.memory:
        variables["NOMAD_MEMORY_LIMIT"] = str(task.resources.memory // 2**20)
    return variables
