# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers: how a task's program becomes the commands and the walls of its unit. One file each.

A driver is a function `(Launch) -> Directives of [Service]`; `DRIVERS` is where the compiler finds it.
"""

from __future__ import annotations

import typing as t

from ....job.model.vocabulary import Driver
from ...systemd import Directives
from . import exec as exec_driver
from . import raw_exec as raw_exec_driver
from .launch import Launch

Driving = t.Callable[[Launch], Directives]

DRIVERS: t.Mapping[Driver, Driving] = {
    Driver.EXEC: exec_driver.directives,
    Driver.RAW_EXEC: raw_exec_driver.directives,
}
