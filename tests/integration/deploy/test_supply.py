# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Robots without a way out: the controller downloads, once, what they are to have."""

from __future__ import annotations

import functools
import http.server
import io
import pathlib
import tarfile
import threading

import pytest
import yaml

from tests.integration.deploy.test_templates import inventory
from tests.integration.engine.harness import Machine

pytestmark = pytest.mark.robots

CANARY = "canary-9e07d3"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Only who is on the controller reaches it."""

    asked: list[str | None]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("X-Token"))
        super().do_GET()

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


def archive(path: pathlib.Path, content: bytes) -> None:
    with tarfile.open(path, mode="w:gz", compresslevel=1) as made:
        member = tarfile.TarInfo("model.bin")
        member.size = len(content)
        made.addfile(member, io.BytesIO(content))


def job(url: str) -> str:
    program = {"command": "/bin/sleep", "args": ["infinity"]}
    brought = {"getterSource": url, "headers": {"X-Token": CANARY}}
    task = {"name": "main", "config": {"execConfig": program}, "artifacts": [brought]}
    return yaml.safe_dump({"name": "web", "type": "system", "taskGroups": [{"name": "g", "tasks": [task]}]})


def test_what_the_controller_downloads_reaches_every_robot(deployment, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    served = tmp_path / "served"
    served.mkdir()
    asked: list[str | None] = []
    handler = type("Recording", (Handler,), {"asked": asked})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/model.tar.gz"
    supplied = {"artifact_download_by": "controller"}

    def size(robot: str) -> int:
        return int(deployment.sh(robot, "wc -c </var/lib/k8s4r/tasks/web-g-*/local/model.bin"))

    robots = inventory(tmp_path / "more.yml", "", robot1=supplied, robot2=supplied)

    archive(served / "model.tar.gz", bytes(3 << 20) + CANARY[::-1].encode())
    run = deployment.deploy(job(url), "--check", *robots)
    assert f"robot1, robot2: g r0 main: artifact {url} is still to be fetched" in run.well().output
    assert asked == []

    run = deployment.deploy(job(url), *robots)
    assert run.well().output.count(f"controller: artifact {url} is sha256:") == 1
    assert asked == [CANARY]
    for robot in ("robot1", "robot2"):
        assert size(robot) == (3 << 20) + len(CANARY)
        places = "/var/lib/k8s4r /etc/k8s4r /run/k8s4r /etc/systemd/system"
        Machine(deployment.fleet, robot).absent(f"grep -rsl {CANARY} {places}")

    archive(served / "model.tar.gz", b"short")
    run = deployment.deploy(job(url), *robots, refresh=True)
    assert run.well().output.count(f"controller: artifact {url} was sha256:") == 1
    assert len(asked) == 2
    assert size("robot2") == 5
    server.shutdown()
    server.server_close()
    served.joinpath("model.tar.gz").unlink()
    # The robot has lost all, and the controller has it.
    deployment.sh("robot1", "rm -rf /var/lib/k8s4r/cache /var/lib/k8s4r/tasks/web-g-*/local/model.bin")
    deployment.deploy(job(url), *robots).well()
    assert size("robot1") == 5
