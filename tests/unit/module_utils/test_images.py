# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker's engine says while an image comes. The rest is tried with a real one, on robots."""

from __future__ import annotations

import itertools
import json
import socket
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources.images import api, docker, failures


def pulled(monkeypatch, tmp_path, *news, head=b"HTTP/1.0 200 OK\r\nServer: Docker\r\n\r\n"):
    """What is told of a pull of which the engine says this."""
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(api, "SOCKET", path)
    # Each look at the clock is a second later.
    seconds = itertools.count()
    monkeypatch.setattr(api.time, "monotonic", lambda: float(next(seconds)))
    told = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def answer():
            connection, _address = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + b"".join(json.dumps(each).encode() + b"\r\n" for each in news))

        engine = threading.Thread(target=answer)
        engine.start()
        try:
            docker.pull("a:1", None, told.append)
        finally:
            engine.join()
    return told


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
