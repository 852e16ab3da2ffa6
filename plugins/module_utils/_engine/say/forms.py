# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a text may be written in another one: by that a secret is known again."""

from __future__ import annotations

import base64
import json
import re
from urllib import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

SHORTEST_CODED = 8


def written(text: str) -> t.Iterator[str]:
    """A text as it is, as JSON, as Python shows it, in an environment file, in a URL, and in base64."""
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    content = text.encode("utf-8", "surrogateescape")
    yield repr(content)[2:-1]
    yield "".join("\\" + char if char in '"\\`$' else char for char in text)
    for encoded in (parse.quote(content, safe=""), parse.quote(content), parse.quote_plus(content)):
        yield encoded
        yield re.sub("%..", lambda found: found.group().lower(), encoded)
    yield from _in_base64(content)


def _in_base64(content: bytes) -> t.Iterator[str]:
    """What is the same of it whatever stands before and behind it, as a user's name does in a header of HTTP. What is shorter than
    `SHORTEST_CODED` may be anything.
    """
    for before in range(3):
        coded = base64.b64encode(bytes(before) + content)
        # The first characters have something of what stands before, and the last ones of what stands behind.
        first, last = (0, 2, 3)[before], (before + len(content)) * 8 // 6
        core = coded[first:last].decode("ascii")
        if len(core) >= SHORTEST_CODED:
            yield core
            yield core.replace("+", "-").replace("/", "_")
