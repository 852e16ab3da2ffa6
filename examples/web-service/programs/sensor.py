# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's sensor: `sensor.py SETTINGS`. Whoever connects to its port on loopback gets one reading as JSON."""

from __future__ import annotations

import json
import math
import socketserver
import sys
import time


class Reading(socketserver.StreamRequestHandler):
    """One connection, one reading."""

    def handle(self) -> None:
        """A temperature that goes up and down once a minute."""
        celsius = 20 + 5 * math.sin(time.time() * math.tau / 60)
        self.wfile.write(json.dumps({"celsius": round(celsius, 2)}).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    """A port on loopback that can be taken again at once after a restart."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve for ever."""
    with open(sys.argv[1], encoding="utf-8") as file:
        port = json.load(file)["sensorPort"]
    with Server(("127.0.0.1", port), Reading) as server:
        print(f"sensor: readings on port {port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
