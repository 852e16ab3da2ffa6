# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a real server that cuts them off, changes its mind or is gone, and the cache that they end in."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import socket
import threading
import time
import types

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import cache as caches
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import s3, web
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.cache import Cache, Unfetched
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.sources import Fetcher
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge.fetching import Fetching

CONTENT = os.urandom(1 << 20)
PASSWORD = "canary-7731"


class Handler(http.server.BaseHTTPRequestHandler):
    """`server.cut`: after so many bytes of each answer the connection ends. `server.asked`: the headers of each request."""

    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers))
        if server.status != 200:
            self.send_response(server.status)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if self.headers.get("If-None-Match") == server.etag != "":
            self.send_response(304)
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and server.ranges and self.headers.get("If-Range", server.etag) == server.etag else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        body = server.content[start:]
        self.wfile.write(body[: server.cut] if server.cut else body)
        server.after()

    def log_message(self, *_words):
        """Nobody reads it."""


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.status, made.location, made.etag, made.ranges, made.cut = [], 200, "", '"one"', True, 0
    made.content, made.after = CONTENT, lambda: None
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(web, "WAITS", (0, 0))


@pytest.fixture
def cache(tmp_path):
    made = Cache(str(tmp_path / "cache"))
    made.make()
    return made


def source(server, **keys):
    url = f"http://127.0.0.1:{server.server_port}/a.tar.gz"
    plain = dict.fromkeys(("user", "password", "ref", "key", "region", "checksum", "archive", "subdir"), "")
    return {**plain, "get": "http", "url": url, "headers": {}, "shown": url, "depth": 0, "name": "a", "mode": "any", "to": "/x", **keys}


def find(cache, wanted, online=True, refresh=False, needed=(), usable=True):
    fetcher = Fetcher(cache, lambda text: hashlib.sha256(text.encode()).hexdigest()[:32], online, refresh, set(needed))
    found = fetcher.find(wanted, lambda _text: None)
    if usable:
        fetcher.settle()
    return found, fetcher.news


SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_what_was_fetched_is_not_asked_for_again(cache, server):
    assert find(cache, source(server), online=False) == (None, [])
    found, news = find(cache, source(server))
    assert (found, news) == (SHA256, [f"{source(server)['shown']} is sha256:{SHA256}"])
    assert pathlib.Path(cache.path(SHA256)).read_bytes() == CONTENT
    assert find(cache, source(server), online=False) == (SHA256, [])
    assert find(cache, source(server, url="http://127.0.0.1:1/b", checksum=f"sha256:{SHA256}")) == (SHA256, [])
    assert len(server.asked) == 1


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_download_that_is_cut_goes_on_where_it_was(cache, server, tenth):
    server.cut = len(CONTENT) * tenth // 10
    assert find(cache, source(server))[0] == SHA256
    assert pathlib.Path(cache.path(SHA256)).read_bytes() == CONTENT
    starts = [int(headers.get("Range", "bytes=0-")[6:-1]) for headers in server.asked]
    assert starts == [min(server.cut * number, len(CONTENT)) for number in range(len(starts))]
    assert {headers["If-Range"] for headers in server.asked[1:]} == {'"one"'}


def test_another_run_goes_on_too(cache, server):
    server.cut = 1000
    server.after = lambda: setattr(server, "status", 500)
    with pytest.raises(Unfetched, match="500 Internal Server Error"):
        find(cache, source(server))
    server.status, server.cut, server.after = 200, 0, lambda: None
    assert find(cache, source(server))[0] == SHA256
    assert server.asked[-1]["Range"] == "bytes=1000-"


def test_what_has_changed_meanwhile_begins_anew(cache, server):
    other = os.urandom(1 << 20)

    def change():
        server.content, server.etag, server.cut, server.after = other, '"two"', 0, lambda: None

    server.cut, server.after = 1000, change
    assert find(cache, source(server))[0] == hashlib.sha256(other).hexdigest()


def test_a_server_without_parts_begins_anew(cache, server):
    server.ranges, server.cut = False, 1000
    server.after = lambda: setattr(server, "cut", 0)
    assert find(cache, source(server))[0] == SHA256


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_a_wrong_checksum_is_refused_with_both(cache, server, algorithm):
    right = hashlib.new(algorithm, CONTENT).hexdigest()
    wrong = hashlib.new(algorithm, b"").hexdigest()
    with pytest.raises(Unfetched, match=f"its checksum is {algorithm}:{right}, and the job wants {algorithm}:{wrong}"):
        find(cache, source(server, checksum=f"{algorithm}:{wrong}"))
    assert find(cache, source(server, checksum=f"{algorithm}:{right}"))[0] == SHA256
    assert find(cache, source(server, checksum=f"{algorithm}:{right}"), online=False)[0] == SHA256


def test_an_address_is_fixed_until_it_is_asked_again(cache, server):
    find(cache, source(server))
    server.content, server.etag = b"new", '"two"'
    assert find(cache, source(server)) == (SHA256, [])
    new = hashlib.sha256(b"new").hexdigest()
    os.unlink(cache.path(SHA256))
    with pytest.raises(Unfetched, match=f"is sha256:{new} now, and was sha256:{SHA256}.*refresh=true"):
        find(cache, source(server))
    found, news = find(cache, source(server), refresh=True)
    assert (found, len(news)) == (new, 1)
    before = len(server.asked)
    # The server says that it is the same.
    assert find(cache, source(server), refresh=True) == (new, [])
    assert len(server.asked) == before + 1


def test_an_address_is_fixed_only_when_its_bytes_turned_out_usable(cache, server):
    assert find(cache, source(server), usable=False)[0] == SHA256
    assert find(cache, source(server), online=False)[0] is None
    # The server is asked again, and need not send the same again.
    sent = len(server.asked)
    assert find(cache, source(server), usable=False)[1] == [f"{source(server)['shown']} is sha256:{SHA256}"]
    assert server.asked[sent]["If-None-Match"] == server.etag
    server.content, server.etag = b"mended", '"two"'
    mended = hashlib.sha256(b"mended").hexdigest()
    assert find(cache, source(server))[0] == mended
    assert find(cache, source(server), online=False)[0] == mended
    server.content, server.etag = b"broken", '"three"'
    assert find(cache, source(server), refresh=True, usable=False)[0] != mended
    assert find(cache, source(server)) == (mended, [])
    # What was of no use is not what an address has that is gone.
    server.status = 404
    assert find(cache, source(server), refresh=True)[0] == mended


def test_a_check_says_what_a_run_would_ask_again(cache, server):
    find(cache, source(server))
    wanted = source(server, checksum=f"sha256:{SHA256}")
    shown = source(server)["shown"]
    assert find(cache, source(server), online=False, refresh=True) == (SHA256, [f"{shown} will be asked again"])
    assert find(cache, wanted, online=False, refresh=True) == (SHA256, [])
    assert find(cache, source(server, user="other"), online=False, refresh=True) == (None, [])


def test_which_bytes_an_address_had_is_marked_in_what_a_run_says(robot, server):
    """Whoever refuses the release of another robot has to say it, too: it is in no later answer."""
    artifacts = {"kind": "artifacts", "name": "r0 app", "where": "job.yml", "content": json.dumps([source(server)])}
    group = {"id": "g", "name": "default/shop/web", "resources": [artifacts], "secrets": []}
    request = {"plan": {"format": 1, "jobs": [{"namespace": "default", "name": "shop", "groups": [group]}]}}
    fetching = Fetching(robot, request)
    fetching.fetch(lambda _text: None)
    url = source(server)["shown"]
    said = {"group": "default/shop/web", "unit": "r0 app", "does": f"artifact {url} is sha256:{SHA256}", "why": [], "fetched": True}
    assert fetching.said == [said]
    fetching.settle()
    assert Fetching(robot, request).said == []


def test_an_address_is_asked_once_for_all_tasks(cache, server):
    fetcher = Fetcher(cache, lambda text: hashlib.sha256(text.encode()).hexdigest()[:32], True, True, set())
    found = [fetcher.find(source(server), lambda _text: None) for _task in range(3)]
    assert (found, len(server.asked), len(fetcher.news)) == ([SHA256] * 3, 1, 1)


def test_what_is_gone_is_served_where_the_cache_has_it_and_refused_where_not(cache, server):
    find(cache, source(server))
    server.status = 404
    assert find(cache, source(server)) == (SHA256, [])
    found, [news] = find(cache, source(server), refresh=True)
    assert found == SHA256
    assert news.endswith(f"stays sha256:{SHA256}: the server answers 404 Not Found")
    with pytest.raises(Unfetched, match="404 Not Found"):
        find(cache, source(server, user="other"))
    server.server_close()
    with pytest.raises(Unfetched, match="the server cannot be reached"):
        find(cache, source(server, url="http://127.0.0.1:1/"))


def test_credentials_go_to_the_server_alone_that_they_are_for(cache, server):
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    other.asked, other.status, other.etag, other.ranges, other.cut, other.content, other.after = [], 200, "", True, 0, CONTENT, lambda: None
    threading.Thread(target=other.serve_forever, daemon=True).start()
    server.status, server.location = 302, f"http://127.0.0.1:{other.server_port}/b"
    secret = source(server, user="u", password=PASSWORD, headers={"X-Token": PASSWORD})
    try:
        assert find(cache, secret)[0] == SHA256
    finally:
        other.shutdown()
        other.server_close()
    assert server.asked[0]["X-Token"] == PASSWORD
    assert server.asked[0]["Authorization"].startswith("Basic ")
    assert PASSWORD not in str(other.asked)
    assert "Authorization" not in other.asked[0]
    assert not [path for path in pathlib.Path(cache.directory).rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_requests_to_s3_are_signed_as_its_documentation_has_it(server):
    """Amazon S3, Authenticating Requests: Using the Authorization Header, Example: GET Object."""
    example = source(
        server, url="https://examplebucket.s3.amazonaws.com/test.txt", region="us-east-1",
        user="AKIAIOSFODNN7EXAMPLE", password="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )  # fmt: skip
    header = s3.signed(example, {"range": "bytes=0-9"}, "20130524T000000Z")["Authorization"]
    assert header == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_each_request_to_s3_is_signed_for_what_it_asks(cache, server):
    server.cut = len(CONTENT) // 2
    wanted = source(server, get="s3", user="id", password=PASSWORD, region="r", headers={"X-Amz-Security-Token": "t"})
    assert find(cache, wanted)[0] == SHA256
    assert len(server.asked) == 2
    for asked in server.asked:
        names = {"range": "Range", "x-amz-security-token": "X-Amz-Security-Token"}
        given = {name: asked[header] for name, header in names.items() if header in asked}
        assert asked["Authorization"] == s3.signed(wanted, given, asked["X-Amz-Date"])["Authorization"]
        assert PASSWORD not in str(asked)
    server.asked.clear()
    assert find(cache, source(server, get="s3", region="r"), refresh=True)[0] == SHA256
    assert "Authorization" not in server.asked[0]


def test_the_disk_is_looked_at_before_anything_is_fetched(cache, server, monkeypatch):
    monkeypatch.setattr(caches, "MARGIN", 1 << 60)
    with pytest.raises(Unfetched, match=r"free, and 1\.0 MiB are needed"):
        find(cache, source(server))
    assert not [name for name in os.listdir(cache.directory) if len(name) == 64]
    assert all(path.stat().st_size < 1000 for path in pathlib.Path(cache.directory, "partial").iterdir())


def test_what_no_release_needs_goes_the_longest_unused_first(cache, monkeypatch):
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
    for age, digest in enumerate(digests):
        pathlib.Path(cache.path(digest)).write_bytes(b"x" * 8192)
        os.utime(cache.path(digest), (time.time() - 100 + age, 1))
    monkeypatch.setattr(caches, "BOUND", 8192)
    cache.clean({digests[0]})
    assert sorted(name for name in os.listdir(cache.directory) if len(name) == 64) == sorted({digests[0]})
    cache.clean(set())
    assert os.path.exists(cache.path(digests[0]))


def test_memory_does_not_grow_with_what_is_fetched(cache, server):
    import tracemalloc

    server.content = b"\0" * (64 << 20)
    tracemalloc.start()
    try:
        find(cache, source(server))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_file_of_the_robot_is_taken_only_from_where_root_alone_may_write(cache, server, tmp_path):
    file = tmp_path / "a"
    file.write_bytes(CONTENT)
    with pytest.raises(Unfetched, match="/tmp can be changed by others than root"):
        find(cache, source(server, get="file", url=str(file)))
    with pytest.raises(Unfetched, match="this robot has no /nowhere"):
        find(cache, source(server, get="file", url="/nowhere"))
    with pytest.raises(Unfetched, match="/etc is not a file"):
        find(cache, source(server, get="file", url="/etc"))
    found = hashlib.sha256(pathlib.Path("/etc/hostname").read_bytes()).hexdigest()
    assert find(cache, source(server, get="file", url="/etc/hostname"))[0] == found


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[bad/x"])
def test_a_server_leads_nowhere_else_and_breaks_nothing(cache, server, location):
    server.status, server.location = 302, location
    with pytest.raises(Unfetched, match=r"neither http nor https|is not valid|answers 302"):
        find(cache, source(server))


def test_what_is_not_valid_is_said_to_be(cache, server):
    with pytest.raises(Unfetched, match="is not valid"):
        find(cache, source(server, headers={"X": "\u20ac"}))
    server.status = 204
    with pytest.raises(Unfetched, match="the server answers 204 No Content"):
        find(cache, source(server))


def test_whoever_sends_hardly_anything_is_given_up(cache, server, monkeypatch):
    # However busy the machine: no chunk takes less time, and none has as many bytes.
    monkeypatch.setattr(web, "PATIENCE", 1e-6)
    monkeypatch.setattr(web, "SLOWEST", 10**12)
    monkeypatch.setattr(web, "CHUNK", 1000)
    monkeypatch.setattr(web, "MOST_ATTEMPTS", 2)
    server.content = CONTENT * 64
    with pytest.raises(Unfetched, match="sends less than"):
        find(cache, source(server))


def test_nothing_goes_for_what_does_not_fit_anyway(cache, monkeypatch):
    path = pathlib.Path(cache.path("0" * 64))
    path.write_bytes(b"x" * 8192)
    monkeypatch.setattr(cache, "_free", lambda: 0)
    with pytest.raises(Unfetched, match="are needed"):
        cache.make_room(1 << 40, set())
    assert path.exists()


def endless(connection):
    """Preliminary answers, each at once."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def dripping(connection):
    """Headers, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
    while True:
        connection.sendall(b"a")
        time.sleep(0.01)


def trailing(connection):
    """A body that ends, and no end of what follows it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    while True:
        connection.sendall(b"X-A: a\r\n")
        time.sleep(0.01)


@pytest.mark.parametrize("talk", [endless, dripping, trailing])
def test_a_server_that_never_comes_to_the_point_is_given_up(cache, monkeypatch, talk):
    monkeypatch.setattr(web, "TIMEOUT", 0.3)

    def serve():
        # To the end of the listener, and no longer: another test may be counting time by then.
        with contextlib.suppress(OSError):
            while True:
                with listening.accept()[0] as connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a.tar.gz"
        server = types.SimpleNamespace(server_port=listening.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(Unfetched, match=r"no answer within 0\.3 s"):
            find(cache, source(server, url=url))
        assert time.monotonic() - began < 5


def test_all_is_written_where_a_full_disk_takes_a_part_of_it_at_first():
    """Once, what was cut off at its very end was taken for complete, and kept."""
    taken = []

    class Stream:
        def write(self, data):
            taken.append(bytes(data[:3]))
            return len(taken[-1])

    caches.write(Stream(), b"0123456789")
    assert b"".join(taken) == b"0123456789"
