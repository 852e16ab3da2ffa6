# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a robot: knock at a service's port over TLS and say what became of it: `HOST PORT [CERTIFICATE KEY]`.

What is sent is the first message of PostgreSQL's protocol, so that one byte of answer means: the database was reached.
"""

from __future__ import annotations

import socket
import ssl
import sys

SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))


def knock(host, port, *identity):
    """In words."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity:
        context.load_cert_chain(*identity)
    try:
        with socket.create_connection((host, int(port)), 5) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(SSL_REQUEST)
            answer = secured.recv(1)
    except (ssl.SSLEOFError, ConnectionError):
        answer = b""
    except ssl.SSLError as error:
        return f"refused: {error.reason}"
    return f"LET IN, answered {answer!r}" if answer else "refused: connection closed without a byte"


print(knock(*sys.argv[1:]))
