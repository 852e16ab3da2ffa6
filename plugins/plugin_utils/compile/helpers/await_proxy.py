# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""await-proxy SOCKET SECONDS: waits until Envoy, asked at its admin socket, answers that it is ready.

Exits with 1 and a message when the time is up. In Python, because it speaks HTTP over a Unix socket.
"""

from __future__ import annotations

import socket
import sys
import time


def ready(path: str) -> bool:
    """Whether Envoy answers 200; False too if nothing answers. To HTTP/1.0 it answers 426 Upgrade Required."""
    try:
        with socket.socket(socket.AF_UNIX) as pipe:
            pipe.settimeout(1)
            pipe.connect(path)
            pipe.sendall(b"GET /ready HTTP/1.1\r\nHost: admin\r\n\r\n")
            return b" 200 " in pipe.recv(64)
    except OSError:
        return False


def main() -> str | None:
    path, seconds = sys.argv[1], float(sys.argv[2])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready(path):
            return None
        time.sleep(0.02)
    return f"<4>the proxy is not ready after {seconds:g} s; tasks start without it"


if __name__ == "__main__":
    sys.exit(main())
