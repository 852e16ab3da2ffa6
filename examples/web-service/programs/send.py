# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send readings by gRPC: `send.py INSTANCE SETTINGS`, with the service's address in PROXY_TELEMETRY_ADDR."""

from __future__ import annotations

import json
import os
import socket
import sys

import grpc
from readings import patient, readings, say


def main() -> None:
    """Record each reading, and ask how many the service holds of this instance. Messages are JSON: no protoc is needed."""
    origin = {"host": socket.gethostname(), "instance": int(sys.argv[1])}

    def send() -> None:
        with grpc.insecure_channel(os.environ["PROXY_TELEMETRY_ADDR"]) as channel:
            record = channel.unary_unary("/telemetry.Telemetry/Record")
            count = channel.unary_unary("/telemetry.Telemetry/Count")
            for celsius in readings(sys.argv[2]):
                record(json.dumps({**origin, "celsius": celsius}).encode(), timeout=5)
                held = json.loads(count(json.dumps(origin).encode(), timeout=5))
                say(f"sent {celsius} and was told of {held[0]['count']} readings of {origin['host']} r{origin['instance']}")

    patient(send, (grpc.RpcError, OSError))


if __name__ == "__main__":
    main()
