# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a directory over HTTP: ``--fleet NAME --bind ADDRESS PORT DIRECTORY``; the fleet's name is for finding it."""

from __future__ import annotations

import argparse
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", required=True)
    parser.add_argument("--bind", required=True)
    parser.add_argument("port", type=int)
    parser.add_argument("directory")
    options = parser.parse_args()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=options.directory)
    ThreadingHTTPServer((options.bind, options.port), handler).serve_forever()


if __name__ == "__main__":
    main()
