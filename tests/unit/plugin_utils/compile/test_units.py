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


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ("source: /, target: /host", 'source: found "/": /etc/k8s4r belongs to this collection or to SPIRE; name another place'),
        ("source: /etc/k8s4r/groups, target: /x", 'source: found "/etc/k8s4r/groups": /etc/k8s4r belongs to'),
        ("source: /var/lib, target: /x", 'source: found "/var/lib": /var/lib/k8s4r belongs to'),
        ("source: /run/spire/sockets, target: /x", 'source: found "/run/spire/sockets": /run/spire belongs to'),
        ("source: /srv/../etc/spire, target: /x", 'source: found "/srv/../etc/spire": not the shortest spelling, "/etc/spire"'),
        ("source: /srv/x/, target: /x", 'source: found "/srv/x/": not the shortest spelling, "/srv/x"'),
        ("source: /srv, target: /var/lib/k8s4r/tasks", 'target: found "/var/lib/k8s4r/tasks": /var/lib/k8s4r belongs to'),
        ("source: /srv, target: /proc/sys", 'target: found "/proc/sys": /proc is one of the places that each task has already'),
        ("source: /srv, target: /tmp", 'target: found "/tmp": /tmp is one of the places'),
    ],
)
def test_a_volume_opens_nothing_of_ours_and_hides_nothing(volume, said):
    task = "{name: app, volumes: [{" + volume + "}], config: {execConfig: {command: app}}}"
    assert f"tasks[0].volumes[0].{said}" in refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")


def test_two_volumes_at_one_place_are_refused():
    task = "{name: app, volumes: [{source: /a, target: /x}, {source: /b, target: /x}], config: {execConfig: {command: app}}}"
    said = refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")
    assert 'volumes[1].target: found "/x": taskGroups[0].tasks[0].volumes[0] is there already; name another place' in said
