# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3: an object in S3, or in a compatible store. Each request is signed by itself (AWS Signature Version 4), since a signature is only
valid for a few minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib import parse

from . import web

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t
    from urllib import request

    from .cache import Pin
    from .shapes import Room, Source, Tell

NOTHING = hashlib.sha256(b"").hexdigest()


def fetch(source: Source, partial: str, before: Pin, room: Room, tell: Tell) -> Pin | None:
    """Download as web.py does. An object that everybody may read needs no key."""
    plain: Source = {**source, "user": "", "password": ""}

    def sign(asked: request.Request) -> None:
        if source["password"]:
            given = {name.lower(): value for name, value in asked.header_items() if name.lower() in ("range", "x-amz-security-token")}
            for name, value in signed(source, given, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())).items():
                asked.add_unredirected_header(name, value)

    return web.fetch(plain, partial, before, room, tell, sign)


def signed(source: Source, headers: t.Mapping[str, str], when: str) -> dict[str, str]:
    """The headers that sign a request for the object, sent with these others. ``when``: 20130524T000000Z."""
    parts = parse.urlsplit(source["url"])
    added = {"x-amz-content-sha256": NOTHING, "x-amz-date": when}
    everything = {**headers, **added, "host": parts.netloc}
    names = ";".join(sorted(everything))
    query = "&".join(
        f"{parse.quote(name, safe='-_.~')}={parse.quote(value, safe='-_.~')}"
        for name, value in sorted(parse.parse_qsl(parts.query, keep_blank_values=True))
    )
    path = parse.quote(parse.unquote(parts.path or "/"), safe="/-_.~")
    lines = [f"{name}:{everything[name].strip()}" for name in sorted(everything)]
    canonical = "\n".join(["GET", path, query, *lines, "", names, NOTHING])
    scope = f"{when[:8]}/{source['region']}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + source["password"].encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={source['user']}/{scope}"
    return {**added, "Authorization": f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"}
