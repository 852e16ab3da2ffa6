# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""podman: as docker, but no engine has to run. The unit's main process is conmon, which holds the container and tells systemd when it has
started; what comes out of the container goes straight to the task's log.

The container is in the slice of its task, and not in the unit, as `--cgroups=split` would have it: a limit of the task would hold for
podman itself, too, which needs 50 MB and a dozen threads to start one.
"""

from __future__ import annotations

from ....job.model.task import Task
from ...content import container
from ...site.placed import PlacedTask
from ...site.site import Site
from ...systemd import Directives
from . import docker


def order(site: Site, task: PlacedTask[Task]) -> Directives:
    own = container.slice_of(site, task)
    return [("Requires", own), ("After", own)]


def started(_site: Site, _task: PlacedTask[Task]) -> Directives:
    """When conmon says so, to which `podman run` gives its place."""
    return [("Type", "notify"), ("NotifyAccess", "all"), ("TimeoutStartSec", "infinity")]


WAY = docker.WAY._replace(started=started, order=order)
