# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of a task behind a proxy: over connections that stay, it answers what its variable NAME says, at its port `http`.

It sends a head and a body. Without `disable_nagle_algorithm` TCP keeps the body back until who asked has acknowledged the head, which on
Linux takes 40 ms: eight connections that wait for one another then have 180 answers a second, whatever lies between.
"""

from __future__ import annotations

SERVER = """
import os, socket
# Who comes while the rest is imported waits for it, and is not refused.
listener = socket.create_server(("127.0.0.1", int(os.environ["NOMAD_PORT_http"])), backlog=128)
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        name = os.environ["NAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)

    def log_message(self, *_arguments):
        pass

server = http.server.ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
server.socket.close()
server.socket = listener
server.serve_forever()
"""
