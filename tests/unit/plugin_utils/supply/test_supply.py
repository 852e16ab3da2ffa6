# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller downloads for robots without a way out, from a real server, and how it gets into a robot's cache."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import threading
import time
import types
from urllib import parse

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import local, web
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.cache import Cache, Unfetched
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.sources import Fetcher
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.scrub import Scrubber
from ansible_collections.k8s4r.robot.plugins.plugin_utils.supply import sending
from ansible_collections.k8s4r.robot.plugins.plugin_utils.supply.refused import Refused
from ansible_collections.k8s4r.robot.plugins.plugin_utils.supply.supply import Supply

CANARY = "canary-5a1f"
SHARED = "canary-shared"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.headers.get("X-Token"))
        time.sleep(self.server.slow)
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_words):
        """Nobody reads it."""


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.content, made.slow = [], os.urandom(1 << 20), 0
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(web, "WAITS", ())


def plan(server, **keys):
    url = f"http://127.0.0.1:{server.server_port}/a.tar.gz"
    plain = dict.fromkeys(("user", "password", "ref", "key", "region", "checksum", "subdir"), "")
    source = {**plain, "get": "http", "url": url, "headers": {"X-Token": CANARY, "X-Too": SHARED}, "shown": "a.tar.gz", "archive": "tar.gz"}
    source.update(depth=0, name="a.tar.gz", mode="any", to="/var/lib/k8s4r/tasks/t/local", **keys)
    artifacts = {"kind": "artifacts", "name": "r0 t", "where": "job.yml: tasks[0].artifacts", "content": json.dumps([source])}
    file = {"kind": "file", "path": "/etc/k8s4r/groups/g/env/t.env", "content": f'A="{SHARED}"\n'}
    group = {"id": "g", "name": "g", "resources": [artifacts, file], "checks": [], "secrets": [CANARY, SHARED]}
    return {"format": 1, "jobs": [{"namespace": "default", "name": "j", "groups": [group]}]}


def sources(found):
    return json.loads(found["jobs"][0]["groups"][0]["resources"][0]["content"])


class Run:
    """One run of the controller. `robot` is the cache of the robot that it sends to; `sent` are its parts."""

    def __init__(self, tmp_path, refresh=False):
        self.said, self.sent, self.began, self.refresh = [], [], time.time(), refresh
        self.cache, self.robot = tmp_path / "controller", Cache(str(tmp_path / "robot" / "cache"))
        # A file that was written just now is not of this run.
        time.sleep(0.02)

    def supply(self):
        return Supply(self.cache, self.began, self.refresh, self.said.append)

    def call(self, request, part, _slowest):
        if part:
            self.sent.append(part)
        return local.receive(self.robot, request["sha256"], request["size"], request["at"], part, ())

    def send(self, wanted):
        return self.supply().send(wanted, "robot1", self.call)


def test_a_secret_that_a_file_has_as_json_stays_hidden_in_messages(server, tmp_path):
    secret = "p\u00e4ss\tword-1234"
    wanted = plan(server)
    (group,) = wanted["jobs"][0]["groups"]
    (source,) = sources(wanted)
    group["resources"][0]["content"] = json.dumps([{**source, "password": secret, "user": "robot"}])
    group["resources"][1]["content"] = json.dumps({"header": f"Bearer {secret}"})
    group["secrets"].append(secret)
    assert secret in Run(tmp_path).send(wanted)["jobs"][0]["groups"][0]["secrets"]


@pytest.mark.parametrize(
    "form",
    [
        lambda secret: parse.quote(secret, safe=""),
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(f"robot:{secret}".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"{secret}:x".encode()).decode(),
    ],
)
def test_a_secret_that_a_file_has_in_another_form_stays_hidden_in_messages(server, tmp_path, form):
    secret = "p\u00e4ss>word/12?34"
    wanted = plan(server)
    (group,) = wanted["jobs"][0]["groups"]
    (source,) = sources(wanted)
    group["resources"][0]["content"] = json.dumps([{**source, "password": secret, "user": "robot"}])
    group["resources"][1]["content"] = f"A={form(secret)}\n"
    group["secrets"].append(secret)
    assert secret in Run(tmp_path).send(wanted)["jobs"][0]["groups"][0]["secrets"]
    shown = Scrubber([secret])(f"found {form(secret)} here")
    assert form(secret)[3:-4] not in shown, shown


def test_the_robot_gets_the_bytes_once_and_nothing_of_where_they_come_from(server, tmp_path):
    run = Run(tmp_path)
    found = run.send(plan(server))
    (source,) = sources(found)
    digest = hashlib.sha256(server.content).hexdigest()
    assert (source["get"], source["checksum"], source["headers"], source["url"]) == ("sent", f"sha256:{digest}", {}, "")
    assert CANARY not in json.dumps(found)
    # What is in a file of the robot, too, is still hidden in messages.
    assert found["jobs"][0]["groups"][0]["secrets"] == [SHARED]
    assert run.said == [f"controller: artifact a.tar.gz is sha256:{digest}"]
    assert server.asked == [CANARY]
    fetcher = Fetcher(run.robot, lambda text: hashlib.sha256(text.encode()).hexdigest()[:32], True, False, set())
    assert fetcher.find(source, lambda _text: None) == digest
    with open(run.robot.path(digest), "rb") as stream:
        assert stream.read() == server.content
    again = Run(tmp_path)
    assert again.send(plan(server)) == found
    assert (again.sent, again.said, len(server.asked)) == ([], [], 1)


def test_all_robots_of_a_run_get_what_the_first_of_them_got(server, tmp_path):
    first = Run(tmp_path)
    before = first.send(plan(server))
    server.content = os.urandom(1000)
    assert Run(tmp_path).send(plan(server)) == before
    refreshing = Run(tmp_path, refresh=True)
    after = refreshing.send(plan(server))
    assert after != before
    assert len(refreshing.said) == 1
    assert "was sha256:" in refreshing.said[0]
    server.content = os.urandom(1000)
    assert refreshing.send(plan(server)) == after
    assert len(server.asked) == 2


def test_an_address_is_not_fixed_where_the_robot_refuses_what_it_has(server, tmp_path):
    supply, run = Run(tmp_path).supply(), Run(tmp_path)
    supply.send(plan(server), "robot1", run.call)
    supply.forget()
    server.content = os.urandom(1000)
    good = Run(tmp_path).send(plan(server))
    assert hashlib.sha256(server.content).hexdigest() in json.dumps(good)
    server.content = os.urandom(1000)
    supply = Run(tmp_path, refresh=True).supply()
    assert supply.send(plan(server), "robot1", run.call) != good
    supply.forget()
    assert Run(tmp_path).send(plan(server)) == good


def test_workers_that_want_the_same_at_once_download_it_once(server, tmp_path):
    server.slow = 0.3
    run, found = Run(tmp_path), []
    workers = [threading.Thread(target=lambda: found.append(run.send(plan(server)))) for _number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [found[0]] * 4
    assert len(server.asked) == 1


def test_what_cannot_be_had_is_refused_and_not_waited_for_by_each_robot(server, tmp_path):
    server.content = b""
    run = Run(tmp_path)
    for _robot in range(3):
        with pytest.raises(Refused) as refused:
            run.send(plan(server))
        assert refused.value.errors == [
            "job.yml: tasks[0].artifacts[0]: a.tar.gz: the controller cannot fetch it: the server answers 404 Not Found"
        ]
    assert len(server.asked) == 1
    server.content = b"there"
    assert sources(Run(tmp_path).send(plan(server)))


def test_a_wrong_checksum_is_found_by_the_controller(server, tmp_path):
    run = Run(tmp_path)
    with pytest.raises(Refused) as refused:
        run.send(plan(server, checksum="md5:" + "0" * 32))
    assert "its checksum is md5:" in refused.value.errors[0]
    assert run.sent == []


def test_check_mode_asks_nobody(server, tmp_path):
    (source,) = sources(Run(tmp_path).supply().known(plan(server)))
    assert (source["get"], source["checksum"], server.asked) == ("sent", "", [])
    assert not (tmp_path / "controller").exists()
    Run(tmp_path).send(plan(server))
    supply = Run(tmp_path, refresh=True).supply()
    (source,) = sources(supply.known(plan(server)))
    assert source["checksum"]
    assert supply.said == ["controller: artifact a.tar.gz will be asked again"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("odd", ["", "pins", "partial"])
def test_what_others_may_have_put_into_the_cache_is_not_believed(server, tmp_path, odd):
    run, wanted = Run(tmp_path), plan(server)
    run.send(wanted)
    place = tmp_path / "controller" / "artifacts" / odd
    place.chmod(0o770)
    for asked in (lambda: Run(tmp_path).send(wanted), lambda: Run(tmp_path).supply().known(wanted)):
        with pytest.raises(Refused) as refused:
            asked()
        assert f"{place} is not a directory of your own that nobody else can change; remove it, or name" in refused.value.errors[0]
    assert len(server.asked) == 1
    place.chmod(0o700)
    os.chown(place, 65534, -1)
    with pytest.raises(Refused):
        Run(tmp_path).send(wanted)


def test_a_file_of_the_cache_that_is_a_link_or_of_somebody_else_is_not_sent(server, tmp_path):
    run, wanted = Run(tmp_path), plan(server)
    (source,) = sources(run.send(wanted))
    path = tmp_path / "controller" / "artifacts" / source["checksum"].partition(":")[2]
    os.chown(path, 65534, -1)
    with pytest.raises(Refused) as refused:
        Run(tmp_path).send(wanted)
    assert "is not a file of your own" in refused.value.errors[0]
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    os.utime(path, ns=(1, 1), follow_symlinks=False)
    with pytest.raises(Refused):
        Run(tmp_path).send(wanted)


def test_a_robot_takes_no_more_than_it_has_made_room_for(tmp_path):
    cache = Cache(str(tmp_path / "cache"))
    assert local.receive(cache, "0" * 64, 10, 0, b"", ()) == 0
    assert local.receive(cache, "0" * 64, 10, 0, b"x" * 4, ()) == 4
    assert local.receive(cache, "0" * 64, 10, 4, b"x" * 4096, ()) == 10
    assert os.path.getsize(tmp_path / "cache" / "partial" / f"sent-{'0' * 64}") == 10


def test_a_file_of_the_robot_stays_its_own(server, tmp_path):
    found = Run(tmp_path).send(plan(server, get="file"))
    assert found == plan(server, get="file")


def test_a_link_that_dies_goes_on_where_it_was(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "FIRST", 100_000)
    monkeypatch.setattr(sending, "LARGEST", 100_000)
    run = Run(tmp_path)

    def dies(request, part, slowest):
        if len(run.sent) == 4:
            # Half of a part arrives.
            local.receive(run.robot, request["sha256"], request["size"], request["at"], part[:50_000], ())
            raise ConnectionError
        return run.call(request, part, slowest)

    with pytest.raises(ConnectionError):
        run.supply().send(plan(server), "robot1", dies)
    again = Run(tmp_path)
    (source,) = sources(again.send(plan(server)))
    assert sum(map(len, again.sent)) == len(server.content) - 450_000
    assert local.sent(source, run.robot.partial("x"), {}, lambda _size: None, lambda _text: None)


def test_a_part_whose_answer_was_lost_counts_once(server, tmp_path):
    run = Run(tmp_path)

    def twice(request, part, slowest):
        run.call(request, part, slowest)
        return run.call(request, part, slowest)

    (source,) = sources(run.supply().send(plan(server), "robot1", twice))
    assert local.sent(source, run.robot.partial("x"), {}, lambda _size: None, lambda _text: None)


def test_what_arrives_damaged_is_sent_anew(server, tmp_path):
    run = Run(tmp_path)
    run.supply().send(plan(server), "robot1", lambda request, part, _slowest: run.call(request, bytes(len(part)), None))
    (source,) = sources(Run(tmp_path).supply().known(plan(server)))
    with pytest.raises(Unfetched, match=r"arrived as sha256:.*; run again"):
        local.sent(source, run.robot.partial("x"), {}, lambda _size: None, lambda _text: None)
    again = Run(tmp_path)
    again.send(plan(server))
    assert b"".join(again.sent) == server.content
    assert local.sent(source, run.robot.partial("x"), {}, lambda _size: None, lambda _text: None)


def test_a_robot_that_takes_nothing_is_given_up(server, tmp_path):
    with pytest.raises(Refused):
        Run(tmp_path).supply().send(plan(server), "robot1", lambda _request, _part, _slowest: 0)


def test_a_robot_without_room_says_so_before_anything_is_sent(server, tmp_path, monkeypatch):
    full = types.SimpleNamespace(f_bavail=100, f_frsize=4096, f_blocks=1 << 20)
    run = Run(tmp_path)
    run.supply().send(plan(server), "robot1", lambda request, _part, _slowest: request["size"])
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(Unfetched, match=r"the file system at .* has 400.0 KiB free"):
        run.send(plan(server))
    assert run.sent == []


def test_an_image_is_sent_from_the_file_beside_the_job(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = os.urandom(300000)
    (tmp_path / "image.tar").write_bytes(content)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    wanted = plan(server)
    (source,) = sources(wanted)
    image = {
        "kind": "image",
        "name": "n",
        "where": "job.yml: load",
        "source": {**source, "get": "beside", "url": "image.tar", "checksum": checksum},
    }
    (group,) = wanted["jobs"][0]["groups"]
    group["resources"].append(image)
    run = Run(tmp_path)
    # The robot downloads for itself, and gets what only the controller has.
    supply = Supply(run.cache, run.began, False, run.said.append, everything=False)
    found = supply.send(wanted, "robot1", run.call)
    assert (b"".join(run.sent), server.asked) == (content, [])
    (_artifacts, _file, sent) = found["jobs"][0]["groups"][0]["resources"]
    assert (sent["source"]["get"], sent["source"]["url"], sent["source"]["checksum"]) == ("sent", "", checksum)
    assert found["jobs"][0]["groups"][0]["resources"][0] == wanted["jobs"][0]["groups"][0]["resources"][0]
    assert supply.known(wanted) == found
    fetcher = Fetcher(run.robot, str, online=True, refresh=False, needed=set())
    assert fetcher.find(sent["source"], str) == checksum[len("sha256:") :]
    # It has gone meanwhile.
    (tmp_path / "image.tar").unlink()
    with pytest.raises(Refused) as refused:
        supply.send(wanted, "robot1", run.call)
    assert "the controller cannot fetch it: No such file or directory (image.tar)" in refused.value.errors[0]


def test_an_image_of_an_artifact_is_supplied_as_that_is(server, tmp_path):
    wanted = plan(server)
    (source,) = sources(wanted)
    wanted["jobs"][0]["groups"][0]["resources"].append({"kind": "image", "name": "n", "where": "job.yml: image", "source": source})
    found = Run(tmp_path).send(wanted)
    assert found["jobs"][0]["groups"][0]["resources"][2]["source"] == sources(found)[0]
