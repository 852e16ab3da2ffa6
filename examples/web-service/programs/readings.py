# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs that take readings have in common: settings, the sensor, and patience with what is not up yet."""

from __future__ import annotations

import collections.abc as c
import json
import socket
import time


def say(text: str) -> None:
    """A line of the log, at once: a pipe would hold it back."""
    print(text, flush=True)


def readings(settings_path: str) -> c.Iterator[float]:
    """A temperature every few seconds, for ever."""
    with open(settings_path, encoding="utf-8") as file:
        settings = json.load(file)
    while True:
        with socket.create_connection(("127.0.0.1", settings["sensorPort"]), timeout=5) as sensor:
            yield json.loads(sensor.makefile().readline())["celsius"]
        time.sleep(settings["everySeconds"])


def patient(work: c.Callable[[], None], troubles: tuple[type[Exception], ...]) -> None:
    """Do ``work`` again whenever one of these troubles ends it; a network comes and goes."""
    while True:
        try:
            work()
        except troubles as trouble:
            say(f"waiting for the other side: {str(trouble).splitlines()[0] if str(trouble) else type(trouble).__name__}")
            time.sleep(1)
