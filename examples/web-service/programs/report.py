# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report readings to an HTTP API: `report.py INSTANCE SETTINGS`, with API_URL in the environment."""

from __future__ import annotations

import os
import socket
import sys

import requests
from readings import patient, readings, say


def main() -> None:
    """Post each reading, and get what the API holds of this instance."""
    instance, host = int(sys.argv[1]), socket.gethostname()
    url = f"{os.environ['API_URL']}/readings"

    def report() -> None:
        with requests.Session() as session:
            for celsius in readings(sys.argv[2]):
                reading = {"host": host, "instance": instance, "celsius": celsius}
                session.post(url, json=reading, timeout=5).raise_for_status()
                reply = session.get(url, params={"host": host, "instance": instance}, timeout=5)
                reply.raise_for_status()
                say(f"posted {celsius} and got back {reply.json()[0]['count']} readings of {host} r{instance}")

    patient(report, (requests.RequestException, OSError))


if __name__ == "__main__":
    main()
