# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""http and https: a download that goes on where it was cut off, in memory of a fixed size."""

from __future__ import annotations

import base64
import hashlib
import http
import http.client
import io
import json
import os
import re
import socket
import ssl
import time
from urllib import error, parse, request

from ..say import disk
from ..system import files
from .cache import CHUNK, Unfetched, drop, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .cache import Pin
    from .shapes import Room, Source, Tell

    Sign = t.Callable[[request.Request], None]

# Seconds: until an answer begins, and of silence in it; and between attempts.
TIMEOUT = 30.0
WAITS = (1, 2, 4, 8)
# Of a whole download, however much each attempt brought.
MOST_ATTEMPTS = 200
# Bytes, after which the room on the disk is looked at again where nobody knows how long the whole is.
LOOK = 64 << 20
# Seconds, and bytes in each: whoever sends less keeps the robot from all other work.
PATIENCE, SLOWEST = 60, 256
AGENT = "k8s4r"
# What is still sent where a server sends us to another one: neither credentials nor headers of the job.
HARMLESS = ("User-agent", "Range", "If-range", "If-none-match", "If-modified-since")


class _Cut(Exception):
    """An attempt ended too early; another one may do better."""


class _Timely(io.RawIOBase):
    """A connection, from which has to come what is waited for until a deadline, however little of it comes at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self.wait()

    def wait(self) -> None:
        """From now on."""
        self._deadline = time.monotonic() + TIMEOUT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        self._connection.settimeout(max(0.001, self._deadline - time.monotonic()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """All that comes before the body is waited for once, with however many preliminary answers; then each piece of the body is."""

    def __init__(self, sock: socket.socket, *words: t.Any, **options: t.Any) -> None:
        super().__init__(sock, *words, **options)
        self.fp.close()
        self._timely = _Timely(sock)
        self.fp = io.BufferedReader(self._timely)

    def read1(self, n: int = -1) -> bytes:
        self._timely.wait()
        return super().read1(n)


class _Connection(http.client.HTTPConnection):
    response_class = _Answer


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Answer


class _Http(request.HTTPHandler):
    def http_open(self, req: request.Request) -> t.Any:
        return self.do_open(_Connection, req)


class _Https(request.HTTPSHandler):
    def https_open(self, req: request.Request) -> t.Any:
        return self.do_open(_SecureConnection, req)


class _Redirects(request.HTTPRedirectHandler):
    def redirect_request(self, req: request.Request, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> request.Request | None:
        if _server(newurl)[0] not in ("http", "https"):
            raise Unfetched("the server redirects to an address that is neither http nor https")
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and _server(req.full_url) != _server(newurl):
            for name in list(new.headers):
                if name not in HARMLESS:
                    del new.headers[name]
        return new


def _server(url: str) -> tuple[str, str]:
    parts = parse.urlsplit(url)
    return parts.scheme, parts.netloc


def fetch(source: Source, partial: str, before: Pin, room: Room, tell: Tell, sign: Sign | None = None) -> Pin | None:
    """Download into a file, which may have the beginning already. ``before``: bytes that are there and need not come again.

    None: the address still has those. ``sign``: what each request gets last. Raises `Unfetched`.
    """
    fruitless, why = 0, ""
    for _attempt in range(MOST_ATTEMPTS):
        had = _size(partial)
        try:
            return _attempt_at(source, partial, before, room, tell, sign)
        except _Cut as cut:
            why = str(cut)
        fruitless = 0 if _size(partial) > had else fruitless + 1
        if fruitless > len(WAITS):
            break
        tell(f"{why}; trying again")
        time.sleep(WAITS[max(0, fruitless - 1)])
    raise Unfetched(why)


def _attempt_at(source: Source, partial: str, before: Pin, room: Room, tell: Tell, sign: Sign | None) -> Pin | None:
    asked = request.Request(source["url"], headers=_headers(source))
    had, validator = _size(partial), _validator(partial)
    resumes = bool(had) and bool(validator or source["checksum"])
    if resumes:
        asked.add_header("Range", f"bytes={had}-")
        if validator:
            asked.add_header("If-Range", validator)
    elif before.get("etag"):
        asked.add_header("If-None-Match", before["etag"])
    elif before.get("modified"):
        asked.add_header("If-Modified-Since", before["modified"])
    if sign:
        sign(asked)
    try:
        with request.build_opener(_Redirects, _Http, _Https).open(asked, timeout=TIMEOUT) as answer:
            return _received(partial, answer, had if resumes else 0, room, tell)
    except error.HTTPError as found:
        if found.code == 304 and not resumes:
            return None
        if found.code == 416 and resumes:
            drop(partial)
            raise _Cut("the server has no such part of it") from None
        text = f"the server answers {found.code} {_phrase(found.code)}"
        if found.code in (408, 429) or found.code >= 500:
            raise _Cut(text) from None
        raise Unfetched(text) from None
    except error.URLError as found:
        raise _unreached(found.reason) from None
    except (http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as found:
        raise _unreached(found) from None
    except OSError as found:
        if found.errno in files.NO_SPACE or isinstance(found.filename, str):
            raise
        # socket.timeout, which is no TimeoutError before Python 3.10.
        raise _unreached(found) from None
    except ValueError:
        # Of an address, a header or an answer; its text may repeat them.
        raise Unfetched("the address, a header, or what the server answers is not valid") from None


def _received(partial: str, answer: t.Any, had: int, room: Room, tell: Tell) -> Pin:
    """Take an answer down, behind what is there, or anew where the server has sent the whole."""
    if answer.status not in (200, 206):
        raise Unfetched(f"the server answers {answer.status} {_phrase(answer.status)}")
    start = had if answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {had}-") else 0
    if answer.status == 206 and not start:
        drop(partial)
        raise _Cut("the server sent another part of it")
    etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    files.replace(partial + ".from", json.dumps({"etag": etag, "modified": modified}).encode("ascii"))
    length = answer.headers.get("Content-Length", "")
    total = start + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
    room((total or start) - start)
    digest = hashlib.sha256()
    with open(partial, "r+b" if start else "wb", buffering=0) as stream:
        buffer = memoryview(bytearray(CHUNK))
        while stream.tell() < start:
            count = stream.readinto(buffer[: min(CHUNK, start - stream.tell())])
            digest.update(buffer[:count])
        done, looked, told = start, start, time.monotonic()
        since, before = told, done
        while True:
            # What has come so far, so that nothing of it is lost where the connection is.
            chunk = answer.read1(CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            write(stream, chunk)
            done += len(chunk)
            if time.monotonic() - since >= PATIENCE:
                if done - before < PATIENCE * SLOWEST:
                    raise _Cut(f"the server sends less than {SLOWEST} bytes a second")
                since, before = time.monotonic(), done
            if total is None and done - looked >= LOOK:
                room(0)
                looked = done
            if time.monotonic() - told >= 1:
                tell(f"{disk.size(done)}{f' of {disk.size(total)}' if total else ''}")
                told = time.monotonic()
    if total is not None and done < total:
        raise _Cut(f"the connection ended after {disk.size(done)} of {disk.size(total)}")
    return {"sha256": digest.hexdigest(), "etag": etag, "modified": modified}


def _headers(source: Source) -> dict[str, str]:
    headers = {"User-Agent": AGENT}
    if source["user"] or source["password"]:
        pair = f"{source['user']}:{source['password']}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    return {**headers, **source["headers"]}


def _validator(partial: str) -> str:
    """By what the server knows whether it still has what the beginning is of; empty where it does not."""
    try:
        with open(partial + ".from", encoding="utf-8") as stream:
            found = json.load(stream)
    except (FileNotFoundError, ValueError):
        return ""
    etag = str(found.get("etag", ""))
    # A weak one does not promise the same bytes: RFC 9110.
    return etag if etag and not etag.startswith("W/") else str(found.get("modified", ""))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _phrase(code: int) -> str:
    """A status in words that are no server's own."""
    try:
        return http.HTTPStatus(code).phrase
    except ValueError:
        return ""


def _unreached(why: object) -> Exception:
    if isinstance(why, ssl.SSLCertVerificationError):
        return Unfetched(f"the server's certificate is not trusted: {why.verify_message}")
    if isinstance(why, http.client.IncompleteRead):
        return _Cut("the connection ended too early")
    text = (why.strerror or "it does not answer") if isinstance(why, OSError) else "it does not speak HTTP"
    if "timed out" in str(why):
        text = f"no answer within {TIMEOUT:g} s"
    return _Cut(f"the server cannot be reached: {text}")
