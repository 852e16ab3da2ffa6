# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""await-port PORT: waits until 127.0.0.1 accepts a connection at PORT.

The unit's start timeout bounds the time: asked to end, it says what it has waited for.
"""

from __future__ import annotations

import signal
import socket
import sys
import time


def give_up(_number: int, _frame: object) -> None:
    sys.exit(f"nothing listens on 127.0.0.1:{sys.argv[1]}")


def main() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, give_up)
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
            return
        except OSError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
