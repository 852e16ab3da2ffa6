# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task group on a robot as one group plan: users, directories, helpers, proxy, init tasks, tasks, slice, target."""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.model.vocabulary import JobType
from .. import systemd
from ..content import environment
from ..helpers import HELPERS, Helper
from ..network import peers
from ..network.proxy import compile_proxy
from ..site import Site
from ..units import init, tasks


class CompiledGroup(t.NamedTuple):
    """A group plan and the registration entry that its proxy needs (None: no identity)."""

    plan: dict[str, t.Any]
    entry: dict[str, t.Any] | None


def compile_group(site: Site, directory: peers.Directory) -> CompiledGroup:
    """Compile the group at this site; what is wrong with it is in `site.errors` afterwards."""
    environment.warn_of_databases(site)
    proxy = compile_proxy(site, directory)
    units = [
        *([proxy.unit] if proxy else []),
        *init.units(site),
        *(tasks.task(site, number, index) for index in site.instances for number in range(len(site.group.tasks))),
    ]
    resources = [
        *_users(site, proxied=proxy is not None),
        *_directories(site),
        *(plan.file(f"{site.bin}/{helper.name}", helper.text) for helper in _helpers(site, units)),
        plan.unit(site.slice, _slice(site)),
        *(resource for unit in units for resource in unit.resources),
        plan.unit(site.target, _target(site, [unit.name for unit in units]), run="always"),
        plan.link(f"{plan.UNIT_DIRECTORY}/multi-user.target.wants/{site.target}", f"../{site.target}"),
    ]
    return CompiledGroup(
        plan.group(
            site.id,
            f"{site.job.namespace}/{site.job.name}/{site.group.name}",
            resources,
            checks=[proxy.check] if proxy else [],
            needs=proxy.needs if proxy else [],
            programs=[plan.program(name, site.where(path), search) for (name, search), path in sorted(site.programs.items())],
            ports=proxy.ports if proxy else [],
            secrets=_secrets(site),
        ),
        proxy.entry if proxy else None,
    )


def _secrets(site: Site) -> list[str]:
    """Values that the robot must keep out of every text that it returns."""
    mappings = [site.job.meta, site.group.meta, *(task.env for task in (*site.group.tasks, *site.group.init_tasks))]
    written = {str(value) for mapping in mappings for value in mapping.values() if isinstance(value, Secret) and value}
    return sorted(written | site.secrets)


def _users(site: Site, proxied: bool) -> t.Iterator[dict[str, t.Any]]:
    yield plan.user(site.user, f"Tasks of {site.job.name}/{site.group.name}")
    if proxied:
        yield plan.user(site.proxy_user, f"Proxy of {site.job.name}/{site.group.name}")


def _directories(site: Site) -> t.Iterator[dict[str, t.Any]]:
    yield plan.directory(site.configuration)
    yield plan.directory(site.bin)
    yield plan.directory(f"{site.configuration}/env", mode="0700")
    yield plan.directory(site.data, "root", site.user, "0750", data=True)
    yield plan.directory(site.alloc, site.user, site.user, "0770", data=True)
    if site.job.type is JobType.BATCH:
        yield plan.directory(site.done, data=True)
    # The directory above keeps other users out; inside it is as /tmp is.
    yield plan.directory(site.tmp, "root", "root", "1777", data=True)


def _helpers(site: Site, units: t.Sequence[tasks.Unit]) -> list[Helper]:
    """Only the helper programs that a unit of this group calls."""
    texts = "".join(resource["content"] for unit in units for resource in unit.resources if resource["kind"] == "unit")
    return [helper for helper in HELPERS if f"{site.bin}/{helper.name}" in texts]


def _slice(site: Site) -> str:
    name = systemd.text(f"{site.job.name}/{site.group.name}")
    return systemd.unit({"Unit": [("Description", name)], "Slice": list(tasks.limits(site.group.resources))})


def _target(site: Site, units: t.Sequence[str]) -> str:
    """It wants its units and never requires them: the group's state is its members'."""
    name = systemd.text(f"{site.job.name}/{site.group.name}")
    return systemd.unit({"Unit": [("Description", name), *([("Wants", " ".join(units))] if units else [])]})
