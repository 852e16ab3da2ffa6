# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad link, as ssh's ProxyCommand: relay.py DIRECTORY HOST PORT.

The connections to a host are counted by the lines of ``DIRECTORY/<host>``. Each of them breaks once it has carried so many bytes from the
robot, whatever the robot was about to say. After the last of these the link is good.
"""

from __future__ import annotations

import os
import pathlib
import select
import socket
import sys

# A handshake takes some 3,400 bytes, so the first connection does not come to its end. Then the beginning of an answer is cut off, its end,
# or the answer to a later request of a connection that ssh has kept.
BREAKS_AFTER = (2000, 3500, 6000, 3700, 4500, 5000)
ENDLESS = 1 << 40


def main() -> None:
    """Carry what comes, in both directions."""
    directory, host, port = sys.argv[1:]
    with open(pathlib.Path(directory, host), "a+", encoding="ascii") as count:
        count.write("connection\n")
        count.flush()
        count.seek(0)
        number = len(count.readlines()) - 1
    left = BREAKS_AFTER[number] if number < len(BREAKS_AFTER) else ENDLESS
    link = socket.create_connection((host, int(port)), timeout=30)
    while True:
        ready, _writable, _errors = select.select([0, link], [], [])
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            link.sendall(data)
        if link in ready:
            data = link.recv(65536)
            os.write(1, data[:left])
            left -= len(data)
            if not data or left <= 0:
                return


if __name__ == "__main__":
    main()
