# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers, one file each: what runs as a task, how it is started, and what of the robot it can see.

The compiler looks a driver up in `DRIVERS`.
"""

from __future__ import annotations

import typing as t

from ....job.model.vocabulary import Driver
from .. import command
from . import docker, java, podman, raw_exec
from . import exec as exec_driver
from .way import Way

DRIVERS: t.Mapping[Driver, Way] = {
    Driver.EXEC: Way(command.command, exec_driver.directives),
    Driver.RAW_EXEC: Way(command.command, raw_exec.directives),
    Driver.JAVA: Way(java.command, exec_driver.directives),
    Driver.DOCKER: docker.WAY,
    Driver.PODMAN: podman.WAY,
}
