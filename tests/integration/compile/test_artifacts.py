# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks bring along, from a server on the robot itself, on every systemd that we support."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
import typing as t

import pytest

from tests.integration.compile.jobs import job, shell, without_groups
from tests.integration.engine.harness import Machine

ROOT = "/srv/k8stest"
URL = "http://127.0.0.1:18080"
CANARY = "canary-0b5f2a"
TASK = "/var/lib/k8s4r/tasks/brings-g-r0-one-*"

# It knows parts, tells what it has sent, and is slow where the name says so.
SERVER = f"""
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = "{ROOT}/" + self.path.partition("?")[0].strip("/")
        if not os.path.isfile(path) or (self.path.startswith("/private") and "Authorization" not in self.headers):
            self.send_error(404 if not os.path.isfile(path) else 401)
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        size = os.path.getsize(path)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {{start}}-{{size - 1}}/{{size}}")
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", '"%d"' % os.stat(path).st_mtime_ns)
        self.end_headers()
        with open(path, "rb") as stream:
            stream.seek(start)
            while chunk := stream.read(65536):
                self.wfile.write(chunk)
                print("sent", len(chunk), flush=True)
                if "slow" in path:
                    time.sleep(0.05)
    def log_message(self, *words):
        print("asked", self.path, self.headers.get("Range", "whole"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", 18080), Handler).serve_forever()
"""


def tar(files: dict[str, str], mode: int = 0o644) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


class Server:
    """The server on a robot, and what it has been asked for."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.execute(f"systemctl stop k8stest-server; rm -rf {ROOT}; mkdir -p {ROOT}/private")
        self.start()

    def start(self) -> None:
        self.machine.sh(f"systemd-run --quiet --unit k8stest-server -p StandardOutput=append:{ROOT}/log python3 -c {shlex.quote(SERVER)}")
        self.machine.listens(18080)

    def stop(self) -> None:
        self.machine.sh("systemctl stop k8stest-server")

    def put(self, name: str, content: bytes) -> str:
        assert self.machine.execute(f"cat >{ROOT}/{name}", content).status == 0
        return f"{URL}/{name}"

    def asked(self) -> list[str]:
        return [line for line in self.machine.sh(f"cat {ROOT}/log").splitlines() if line.startswith("asked")]


@pytest.fixture
def server(machine: Machine) -> t.Iterator[Server]:
    server = Server(machine)
    yield server
    machine.execute(f"systemctl stop k8stest-server; rm -rf {ROOT}")


def brings(machine: Machine, *artifacts: dict[str, t.Any], script: str = "exec sleep 1000", **keys: t.Any) -> dict[str, t.Any]:
    return job(machine, "brings", shell("one", script, artifacts=list(artifacts), **keys))


def test_a_task_finds_its_files_and_nobody_is_asked_again(machine, server):
    script = "ls -l local/app/bin/run; exec $NOMAD_TASK_DIR/app/bin/run"
    program = tar({"app/bin/run": "#!/bin/sh\nid -un >$NOMAD_ALLOC_DIR/who\nexec sleep 1000\n"}, 0o755)
    url, config = server.put("app.tar.gz", program), server.put("config.json", b"{}")
    wanted = brings(machine, {"getterSource": url}, {"getterSource": config, "relativeDest": "local/etc"}, script=script)
    prepared = machine.prepare(wanted)
    assert prepared["status"] == "staged", prepared
    said = [change["does"] for change in prepared["summary"]]
    assert f"artifact {url} is sha256:{hashlib.sha256(program).hexdigest()}" in said
    machine.absent(f"ls {TASK} 2>/dev/null | grep .")
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    machine.until("[ -s /var/lib/k8s4r/groups/brings-g-*/alloc/who ]")
    user = machine.sh("cat /var/lib/k8s4r/groups/brings-g-*/alloc/who").strip()
    assert machine.sh(f"stat -c '%U %a' {TASK}/local/app/bin/run {TASK}/local/etc/config.json").splitlines() == [
        f"{user} 755",
        f"{user} 644",
    ]
    # An unchanged deploy, and one that forgot everything but the cache.
    asked = server.asked()
    assert len(asked) == 2
    assert machine.ask(wanted)["status"] == "unchanged"
    server.stop()
    assert machine.ask(wanted)["status"] == "unchanged"
    machine.sh("systemctl restart 'k8s4r-task-brings-*'")
    machine.sh(f"rm -r {TASK}/local/app")
    assert machine.ask(wanted)["status"] == "plan-needed"
    assert machine.deploy(wanted)["status"] == "committed"
    machine.sh(f"test -x {TASK}/local/app/bin/run")
    assert server.asked() == asked
    assert machine.deploy(without_groups(wanted))["status"] == "committed"
    machine.absent(f"ls {TASK} 2>/dev/null | grep .")
