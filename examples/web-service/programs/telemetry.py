# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small gRPC service: `telemetry.py PORT`. Messages are JSON, passed as they are, so that no protoc is needed."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import sys

import grpc
import kept


def record(message: bytes, _context: grpc.ServicerContext) -> bytes:
    """Keep one reading."""
    reading = json.loads(message)
    kept.add(reading["host"], reading["instance"], reading["celsius"])
    print(f"kept {reading['celsius']} of {reading['host']} r{reading['instance']}", flush=True)
    return b"{}"


def count(message: bytes, _context: grpc.ServicerContext) -> bytes:
    """Count what is kept, of one instance or of all."""
    asked = json.loads(message)
    return json.dumps(kept.counts(asked.get("host"), asked.get("instance"))).encode()


class Telemetry(grpc.GenericRpcHandler):
    """The two methods by name."""

    methods = {"/telemetry.Telemetry/Record": record, "/telemetry.Telemetry/Count": count}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The method's handler, its bytes untouched."""
        method = self.methods.get(details.method)
        return grpc.unary_unary_rpc_method_handler(method) if method else None


def main() -> None:
    """Serve until asked to stop, and let calls end."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=(Telemetry(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=2))
    server.start()
    print(f"telemetry: listening on port {sys.argv[1]}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
