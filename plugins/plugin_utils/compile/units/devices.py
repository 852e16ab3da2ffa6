# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that a task may open, as systemd wants them.

DeviceAllow= looks a path up once, when the unit starts: of a device that is pulled out and put in again, which gets another number,
nothing is known any more. A class of devices, by the name of its driver in /proc/devices, holds for all that ever come. Rules of
systemd.resource-control(5).
"""

from __future__ import annotations

import re
import typing as t

from ...job.errors import Problem
from ...job.model.task import Device
from ..site.site import Site

# A number, or what stands for some, comes next.
_END = "(?![A-Za-z])"
# By how the names of their files in /dev begin. udev's links to serial ports do not say which of two they lead to.
_DRIVERS: t.Mapping[str, tuple[str, ...]] = {
    r"bus/usb/": ("usb_device",),
    r"dri/": ("drm",),
    rf"fb{_END}": ("fb",),
    rf"gpiochip{_END}": ("gpiochip",),
    rf"hidraw{_END}": ("hidraw",),
    r"i2c-": ("i2c",),
    rf"iio:device{_END}": ("iio",),
    r"input/": ("input",),
    rf"media{_END}": ("media",),
    r"nvidia": ("nvidia*",),
    r"serial/": ("ttyACM", "ttyUSB"),
    r"snd/": ("alsa",),
    rf"spidev{_END}": ("spi",),
    rf"ttyACM{_END}": ("ttyACM",),
    rf"ttyAMA{_END}": ("ttyAMA",),
    rf"ttyS{_END}": ("ttyS",),
    rf"ttyTHS{_END}": ("ttyTHS",),
    rf"ttyUSB{_END}": ("ttyUSB",),
    r"v4l": ("video4linux",),
    rf"video{_END}": ("video4linux",),
}


def allowed(devices: t.Iterable[Device]) -> tuple[str, ...]:
    """What DeviceAllow= lists for these devices."""
    found: dict[str, None] = {}
    for device in devices:
        found.update(dict.fromkeys([f"char-{name}" for name in _drivers(device)] or [device.path]))
    return tuple(found)


def errors(site: Site, devices: t.Sequence[Device], path: str) -> t.Iterator[Problem]:
    """Several devices at once can only be named by their driver."""
    for number, device in enumerate(devices):
        if re.search(r"[*?\[]", device.path) and not _drivers(device):
            found = f"{device.path} may match several devices, and their driver is not known"
            yield site.problem(f"{path}[{number}]", found, "name each device by its path")


def _drivers(device: Device) -> tuple[str, ...]:
    name = device.path.removeprefix("/dev/")
    return next((drivers for start, drivers in _DRIVERS.items() if re.match(start, name)), ())
