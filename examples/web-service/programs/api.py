# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP API: `api.py PORT`. POST /readings keeps a reading, GET /readings?host=...&instance=... counts them."""

from __future__ import annotations

import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kept


class Api(BaseHTTPRequestHandler):
    """Two methods on one path; connections are kept open."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the reading in the body."""
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.add(str(body["host"]), int(body["instance"]), float(body["celsius"]))
        except (KeyError, TypeError, ValueError) as error:
            return self.answer(400, {"error": f"not a reading: {error}"})
        return self.answer(201, body)

    def do_GET(self) -> None:
        """Count what is kept."""
        address = urllib.parse.urlsplit(self.path)
        if address.path != "/readings":
            return self.answer(404, {"error": "there is only /readings"})
        asked = dict(urllib.parse.parse_qsl(address.query))
        return self.answer(200, kept.counts(asked.get("host"), int(asked["instance"]) if "instance" in asked else None))

    def answer(self, status: int, body: object) -> None:
        """One JSON document."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    print(f"api: listening on port {sys.argv[1]}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
