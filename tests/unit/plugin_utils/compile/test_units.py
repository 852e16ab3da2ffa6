# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of a task get from its keys."""

from __future__ import annotations

import signal

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units import devices, signals
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.task import Device
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import SIGNALS

from .one_robot import refusal


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_have_the_numbers_of_this_linux(name):
    assert name == "SIGSTKFLT" or signals.number(name) == getattr(signal, name)


def test_real_time_signals_are_counted_from_both_ends():
    assert (signals.number("SIGRTMIN+3"), signals.number("SIGRTMAX-14")) == (signal.SIGRTMIN + 3, signal.SIGRTMAX - 14)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/dev/ttyUSB0", ("char-ttyUSB",)),
        ("/dev/ttyUSB*", ("char-ttyUSB",)),
        ("/dev/ttyS[0-3]", ("char-ttyS",)),
        ("/dev/serial/by-id/usb-x", ("char-ttyACM", "char-ttyUSB")),
        ("/dev/video?", ("char-video4linux",)),
        ("/dev/videos", ("/dev/videos",)),
        ("/dev/i2c-1", ("char-i2c",)),
        ("/dev/bus/usb/001/004", ("char-usb_device",)),
        ("/dev/nvidiactl", ("char-nvidia*",)),
        ("/dev/fb0", ("char-fb",)),
        ("/dev/ttySC0", ("/dev/ttySC0",)),
        ("/dev/rfkill", ("/dev/rfkill",)),
    ],
)
def test_a_device_is_allowed_by_its_driver_where_that_is_known(path, allowed):
    assert devices.allowed([Device(path=path)]) == allowed


def test_several_devices_of_an_unknown_driver_are_refused():
    task = "{name: app, devices: ['/dev/my*', /dev/mine], config: {execConfig: {command: app}}}"
    said = refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")
    assert "tasks[0].devices[0]: /dev/my* may match several devices, and their driver is not known; name each device by its path" in said
    assert "devices[1]" not in said
