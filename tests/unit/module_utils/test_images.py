# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker's engine says while an image comes, or does not say, and which images go. The rest is tried with a real one, on robots."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import socket
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.images import api, docker, failures, keeping, obtain, podman
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.images import names as image_names
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import NotHad
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system.observe import Observer

WELL = b"HTTP/1.0 200 OK\r\nServer: Docker\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_boot(monkeypatch):
    monkeypatch.setattr(api, "_HURRY", {})


def pulled(monkeypatch, tmp_path, *news, head=WELL):
    """What is told of a pull of which the engine says this."""
    return told_of(lambda tell: docker.pull("a:1", None, tell), monkeypatch, tmp_path, *news, head=head)[0]


def told_of(ask, monkeypatch, tmp_path, *news, head=WELL):
    """What is told while the engine is asked and says this, and the line by which it was asked."""
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(api, "SOCKET", path)
    # Each look at the clock is a second later.
    seconds = itertools.count()
    monkeypatch.setattr(api.time, "monotonic", lambda: float(next(seconds)))
    told, asked = [], []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def answer():
            connection, _address = listening.accept()
            with connection:
                asked.append(connection.recv(65536).split(b"\r\n")[0].decode())
                connection.sendall(head + b"".join(json.dumps(each).encode() + b"\r\n" for each in news))

        engine = threading.Thread(target=answer)
        engine.start()
        try:
            ask(told.append)
        finally:
            engine.join()
    return told, asked[0]


def layer(name, current, status="Downloading"):
    return {"status": status, "id": name, "progressDetail": {"current": current, "total": 9 << 20}}


def test_the_layers_that_come_are_added_up(monkeypatch, tmp_path):
    found = pulled(monkeypatch, tmp_path, {"status": "Pulling from a"}, layer("a", 1 << 20), layer("b", 2 << 20), layer("a", 4 << 20))
    assert found == ["1.0 MiB", "3.0 MiB", "6.0 MiB"]


def test_what_is_unpacked_is_not_counted_again(monkeypatch, tmp_path):
    found = pulled(monkeypatch, tmp_path, layer("a", 1 << 20), layer("a", 5 << 20, "Extracting"), [], {"status": "Downloading"})
    assert found == ["1.0 MiB"] * 4


@pytest.mark.parametrize(
    ("head", "news", "said"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", {"error": "no space left"}, "no space left"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", {"message": "no such image"}, "no such image"),
    ],
)
def test_an_error_is_one_however_the_answer_began(monkeypatch, tmp_path, head, news, said):
    with pytest.raises(failures.Refused, match=said):
        pulled(monkeypatch, tmp_path, news, head=head)


def test_an_engine_that_says_nothing_is_not_there(monkeypatch, tmp_path):
    with pytest.raises(failures.Unavailable):
        pulled(monkeypatch, tmp_path, head=b"")


def test_of_a_file_each_layer_that_is_taken_in_is_told(monkeypatch, tmp_path):
    """An engine that said nothing before the end would be given up, although it works."""
    file = tmp_path / "image.tar"
    file.write_bytes(b"layers")
    news = [layer("a", 1 << 20, "Loading layer"), layer("a", 3 << 20, "Loading layer"), layer("b", 1 << 20, "Loading layer")]
    told, asked = told_of(lambda tell: docker.load(str(file), tell), monkeypatch, tmp_path, *news)
    assert told == ["1.0 MiB", "3.0 MiB", "4.0 MiB"]
    assert "quiet=0" in asked


@pytest.fixture
def mute(monkeypatch, tmp_path):
    """An engine that says nothing; so is its socket while systemd waits for something before it starts it."""
    monkeypatch.setattr(api, "SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(api, "ANSWER", 0.3)
    monkeypatch.setattr(api, "SILENCE", 0.4)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(api.SOCKET)
        listening.listen()
        yield


@pytest.mark.usefixtures("mute")
def test_an_engine_that_gives_no_answer_is_not_said_to_be_stopped(tmp_path):
    file = tmp_path / "image.tar"
    file.write_bytes(b"layers")
    with pytest.raises(failures.Unavailable) as silent:
        docker.load(str(file), lambda _text: None)
    assert docker.explain(silent.value) == (
        "Docker gives no answer on this robot (none within 0.4 s); look at its journal (journalctl -u docker)"
    )


@pytest.mark.usefixtures("mute")
def test_a_large_image_has_more_time_to_be_deleted():
    with pytest.raises(failures.Unavailable, match=r"0\.4 s"):
        docker.remove("large:1")


@pytest.mark.usefixtures("mute")
def test_at_boot_it_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(api, "AT_BOOT", 0.2)
    kinds.hurry()
    said = []
    for _each in range(3):
        with pytest.raises(failures.Unavailable) as silent:
            docker.identity(NAME)
        said.append(str(silent.value))
    assert said == ["none within 0.2 s", "none within 0.1 s", "none within 0.1 s"]


class Engine:
    """An engine of containers with images, all of which it has had for long; no container uses any of them."""

    def __init__(self, **images):
        self.tags = {f"sha256:{id}": list(names) for id, names in images.items()}
        # Those whose time began a moment ago.
        self.young = set()

    def identity(self, name):
        return next((id for id, names in self.tags.items() if name in names), None)

    def images(self):
        return [{"Id": id, "RepoTags": list(names)} for id, names in self.tags.items()]

    def age(self, image):
        return 0.0 if image["Id"] in self.young else 10 * keeping.KEPT

    def mark_again(self, image, _name):
        self.young.add(image)

    def tag(self, image, name):
        self.remove(name)
        self.tags[image].append(name)

    def remove(self, name):
        for id, names in list(self.tags.items()):
            if name in names:
                names.remove(name)
                if not names:
                    del self.tags[id]


NAME = "k8s4r.local/g:0123456789ab"
MARK = "k8s4r.local/pulled:0-"
IMAGE = {"name": NAME, "reference": "a:1", "pull": "missing", "where": "", "load": "", "shell": False, "gpus": False}


def called(robot, id):
    """A resource of this image, as releases have it."""
    return {"kind": "image", **IMAGE, "digest": robot.store.put(f"sha256:{id}\n".encode())}


def recorded(robot, resource):
    group = {"name": "g", "release": "r1", "committed": 1.0, "resources": [resource], "leftovers": [], "started": {}}
    group.update(needs=[], ports=[], secrets=None)
    job = {"namespace": "n", "name": "j"}
    robot.ledger.save({**job, **ledger.whole("d"), "groups": {"g": group}})


@pytest.fixture
def engine(monkeypatch):
    engine = Engine(old=[NAME, f"{MARK}old"], new=[f"{MARK}new"], stray=[f"{MARK}stray"])
    monkeypatch.setattr(keeping.engines, "of", lambda _resource: engine)
    return engine


def test_the_image_of_the_last_good_release_stays_until_the_new_one_is_committed(robot, engine):
    """Its container may be down: then the engine itself would let go of it."""
    old, new = called(robot, "old"), called(robot, "new")
    recorded(robot, old)
    kinds.of(new).fix(new, robot)
    assert engine.tags == {"sha256:old": [f"{MARK}old"], "sha256:new": [f"{MARK}new", NAME]}
    # Another job goes meanwhile.
    gone = {**called(robot, "more"), "name": "k8s4r.local/other:0123456789ab"}
    engine.tags["sha256:more"] = [gone["name"], f"{MARK}more"]
    kinds.of(gone).remove(gone, robot)
    assert set(engine.tags) == {"sha256:old", "sha256:new"}
    kinds.of(old).fix(old, robot)
    assert engine.identity(NAME) == "sha256:old"
    engine.tags["sha256:new"] = [f"{MARK}new"]
    kinds.of(new).fix(new, robot)
    recorded(robot, new)
    kinds.of(gone).remove(gone, robot)
    assert set(engine.tags) == {"sha256:old", "sha256:new"}
    # A day later.
    engine.young.clear()
    kinds.of(gone).remove(gone, robot)
    assert set(engine.tags) == {"sha256:new"}


def test_where_a_record_cannot_be_read_every_image_stays(robot, engine):
    new = called(robot, "new")
    recorded(robot, called(robot, "old"))
    for path in pathlib.Path(robot.ledger.directory).iterdir():
        path.write_text("{")
    kinds.of(new).fix(new, robot)
    assert set(engine.tags) == {"sha256:old", "sha256:new", "sha256:stray"}


OTHER = "k8s4r.local/g:ba9876543210"


def staged(robot, *resources, phase="forward"):
    """A release whose switch is under way has these."""
    group = {"id": "i", "name": "g", "resources": list(resources), "needs": [], "ports": [], "secrets": None}
    job = {"namespace": "n", "name": "j", "digest": "d", "before": ledger.whole("d"), "base": {}, "groups": [group]}
    robot.keep_manifest({"release": "r2", "who": "me", "robot": "", "keep_data": False, "jobs": [job]})
    entries = {"i": {"phase": phase, "errors": []}}
    robot.write_journal({"release": "r2", "began": 1.0, "groups": entries, "changes": [], "spare": []})


def test_a_switch_does_not_delete_what_it_has_not_come_to_yet(robot, engine):
    """Its second image was pulled more than a day ago, when the release was tried before."""
    first, second = called(robot, "new"), {**called(robot, "stray"), "name": OTHER}
    staged(robot, first, second)
    kinds.of(first).fix(first, robot)
    kinds.of(second).fix(second, robot)
    assert (engine.identity(NAME), engine.identity(OTHER)) == ("sha256:new", "sha256:stray")


def test_of_a_release_that_goes_back_nothing_stays_that_no_group_has(robot, engine):
    new = {**called(robot, "new"), "name": OTHER}
    engine.tags["sha256:new"].append(OTHER)
    staged(robot, new, phase="back")
    kinds.of(new).remove(new, robot)
    assert "sha256:new" not in engine.tags


@pytest.mark.parametrize("error", [failures.Unavailable("none within 120 s"), failures.Refused("conflict")])
def test_an_image_that_cannot_be_deleted_is_no_reason_to_go_back(robot, engine, monkeypatch, error):
    def fails(_name):
        raise error

    new = called(robot, "new")
    engine.tags["sha256:old"].remove(NAME)
    monkeypatch.setattr(engine, "remove", fails)
    monkeypatch.setattr(engine, "tag", lambda image, name: engine.tags[image].append(name))
    kinds.of(new).fix(new, robot)
    assert engine.identity(NAME) == "sha256:new"


@pytest.mark.parametrize("name", [NAME, OTHER])
def test_an_image_that_was_replaced_stays_for_a_day(robot, engine, name):
    """However long it was here, and whether the new one has another name."""
    old, new = called(robot, "old"), {**called(robot, "new"), "name": name}
    del engine.tags["sha256:stray"]
    recorded(robot, old)
    kinds.of(new).fix(new, robot)
    recorded(robot, new)
    if name != NAME:
        kinds.of(old).remove(old, robot)
    more = {**called(robot, "more"), "name": "k8s4r.local/other:0123456789ab"}
    kinds.of(more).remove(more, robot)
    assert engine.tags["sha256:old"] == [f"{MARK}old"]
    engine.young.clear()
    kinds.of(more).remove(more, robot)
    assert "sha256:old" not in engine.tags


def test_with_the_last_image_of_its_group_it_goes_at_once(robot, engine):
    engine.young.add("sha256:old")
    kinds.of(called(robot, "old")).remove(called(robot, "old"), robot)
    assert "sha256:old" not in engine.tags


def test_what_was_given_up_while_the_engine_was_down_goes_later(robot, engine, monkeypatch):
    """Nobody knew then that it was there. What somebody else has by a name of his own stays."""
    engine.tags["sha256:his"] = ["mine:1", "k8s4r.local/gone:0123456789ab"]
    # By such an image a container enters its pod, just now.
    engine.tags["sha256:pod"] = ["k8s4r.local/pod:box-g-r0-t"]
    more = {**called(robot, "more"), "name": OTHER}
    recorded(robot, more)
    monkeypatch.setattr(keeping.engines, "of", lambda _resource: docker)
    monkeypatch.setattr(api, "SOCKET", "/nonexistent/docker.sock")
    old = called(robot, "old")
    assert kinds.of(old).actual(old, Observer(robot.digest)) is None
    kinds.of(old).remove(old, robot)
    monkeypatch.setattr(keeping.engines, "of", lambda _resource: engine)
    engine.tags["sha256:more"] = [f"{MARK}more"]
    kinds.of(more).fix(more, robot)
    pod = engine.tags.pop("sha256:pod")
    assert engine.tags == {"sha256:more": [f"{MARK}more", OTHER], "sha256:his": ["mine:1"]}
    assert pod == ["k8s4r.local/pod:box-g-r0-t"]


def test_what_still_has_to_be_removed_is_not_swept_away_with_something_else(robot, engine):
    old, more = called(robot, "old"), {**called(robot, "more"), "name": OTHER}
    engine.tags["sha256:more"] = [OTHER]
    recorded(robot, more)
    record = robot.ledger.of({"namespace": "n", "name": "j"})
    record["groups"]["g"].update(resources=[], leftovers=[more, old])
    robot.ledger.save(record)
    kinds.of(more).remove(more, robot)
    assert engine.identity(NAME) == "sha256:old"


def test_without_the_engine_an_image_is_not_had_and_that_is_no_error_of_ours(robot, monkeypatch):
    monkeypatch.setattr(api, "SOCKET", "/nonexistent/docker.sock")
    monkeypatch.setattr(docker, "DIRECTORIES", (os.devnull,))
    with pytest.raises(NotHad, match=r"^image a:1: this robot has no Docker; install it") as missing:
        kinds.of({"kind": "image"}).fix(called(robot, "new"), robot)
    assert not missing.value.answered


def test_what_the_engine_refuses_is_not_had_either(robot, engine, monkeypatch):
    def refuses(_image, _name):
        raise failures.Refused("No such image: sha256:new")

    monkeypatch.setattr(engine, "tag", refuses)
    with pytest.raises(NotHad, match=r"^image a:1: No such image: sha256:new$") as missing:
        kinds.of({"kind": "image"}).fix(called(robot, "new"), robot)
    assert missing.value.answered


@pytest.mark.parametrize(("mark", "now"), [(f"{MARK}abc-1000", f"{MARK}abc-5000"), (f"{MARK}abc-loaded", None), (f"{MARK}abc-5000", None)])
def test_the_moment_in_a_mark_of_podmans_becomes_another_one(monkeypatch, mark, now):
    monkeypatch.setattr(podman.time, "time", lambda: 5000.0)
    ran = []
    monkeypatch.setattr(podman, "_run", lambda *words, **_more: ran.append(words) or (0, ""))
    podman.mark_again("sha256:abc", mark)
    assert ran == ([("tag", "sha256:abc", now), ("rmi", mark)] if now else [])


def test_a_file_takes_a_name_from_no_image_but_for_the_one_that_is_asked_for():
    """Another group's next change would start what a vendor's file has called so."""
    held = {"k8s4r.local/g:1": "sha256:old", "team/vision:2.1": "sha256:old", "planner:1.2": "sha256:before"}

    class Known:
        def images(self):
            return [{"Id": image, "RepoTags": [name]} for name, image in held.items()]

        def tag(self, image, name):
            held[name] = image

        def remove(self, name):
            del held[name]

    with obtain._names_kept(Known(), "planner:1.2"):
        held.update(dict.fromkeys((*held, "k8s4r.local/h:1"), "sha256:new"))
    assert held == {"k8s4r.local/g:1": "sha256:old", "team/vision:2.1": "sha256:old", "planner:1.2": "sha256:new"}


@pytest.mark.parametrize(
    ("reference", "called"),
    [
        ("planner", "localhost/planner:latest"),
        ("a/b:1", "docker.io/a/b:1"),
        ("r.example/a:1", "r.example/a:1"),
        # As Docker lists them.
        ("docker.io/a/b", "a/b:latest"),
        ("index.docker.io/library/b:1", "b:1"),
        ("library/b:1", "b:1"),
    ],
)
def test_engines_call_an_image_by_one_of_its_names(reference, called):
    assert called in image_names.every(reference)


def test_an_image_without_a_name_has_none(monkeypatch):
    """Older engines say this in place of one, and refuse it as one."""
    found = [
        {"Id": "sha256:a", "RepoTags": ["<none>:<none>"]},
        {"Id": "sha256:b", "RepoTags": None},
        {"Id": "sha256:c", "RepoTags": ["a:1"]},
    ]
    monkeypatch.setattr(api, "get", lambda _path: found)
    assert [image["RepoTags"] for image in docker.images()] == [[], [], ["a:1"]]
