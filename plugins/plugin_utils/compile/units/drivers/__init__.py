# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers, one file each: how a task's program is started, and what of the robot it can see.

A driver is a function that turns a `Launch` into directives of [Service]. The compiler looks it up in `DRIVERS`.
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
