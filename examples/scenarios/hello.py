# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says hello over HTTP, and counts its visitors in the Redis at DEMO_REDIS_ADDR. Its argument is the port where it listens."""

from __future__ import annotations

import http.server
import os
import socket
import sys


def visit() -> int:
    """One visitor more; how many there were."""
    host, _separator, port = os.environ["DEMO_REDIS_ADDR"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"INCR visits\r\n")
        # Redis answers with a colon and the number.
        return int(connection.makefile().readline()[1:])


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers whatever is asked for."""

    def do_GET(self) -> None:
        """Say hello, or what is wrong."""
        try:
            status, said = 200, f"hello from {socket.gethostname()}, you are visitor {visit()}\n"
        except (OSError, ValueError) as error:
            status, said = 503, f"redis does not answer: {error}\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(said.encode())


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Hello).serve_forever()
