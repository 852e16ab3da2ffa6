# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories, fetched by a real git from a server that asks for a password."""

from __future__ import annotations

import base64
import functools
import http.server
import os
import subprocess
import tarfile
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import git
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.cache import Unfetched
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import command

PASSWORD = "canary-90c1"
ENVIRONMENT = {
    **{f"GIT_{who}_{what}": "a@a.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "1000000000 +0000" for who in ("AUTHOR", "COMMITTER")},
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """A repository as plain files, for who knows the password."""

    def do_GET(self):
        if self.headers.get("Authorization") == "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode():
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="r"')
        self.end_headers()

    def log_message(self, *_words):
        """Nobody reads it."""


@pytest.fixture
def repository(tmp_path):
    """Its address; `v1` and `main` differ."""
    work = tmp_path / "repository"

    def run(*words):
        subprocess.run(["git", "-C", str(work), *words], check=True, env=ENVIRONMENT, capture_output=True)

    (work / "sub").mkdir(parents=True)
    (work / "sub/run").write_text("one")
    (work / "sub/run").chmod(0o755)
    (work / "link").symlink_to("sub/run")
    run("init", "--quiet", "--initial-branch=main")
    run("add", ".")
    run("commit", "--quiet", "-m", "one")
    run("tag", "v1")
    (work / "sub/run").write_text("two")
    run("commit", "--quiet", "-am", "two")
    run("update-server-info")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(work)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/.git"
    server.shutdown()
    server.server_close()


def fetch(tmp_path, url, **keys):
    """What is in the tar, and the SHA-256 of it."""
    plain = dict.fromkeys(("user", "password", "ref", "key", "checksum", "subdir"), "")
    source = {**plain, "url": url, "shown": url, "headers": {}, "depth": 0, **keys}
    (tmp_path / "partial").mkdir(exist_ok=True)
    partial = str(tmp_path / "partial/it")
    found = git.fetch(source, partial, {}, lambda _size: None, lambda _text: None)
    assert os.listdir(tmp_path / "partial") == ["it"]
    with tarfile.open(partial) as tar:
        files = {member.name: (oct(member.mode), tar.extractfile(member).read().decode()) for member in tar if member.isreg()}
        return files, found["sha256"]


def test_a_branch_a_tag_and_a_commit(repository, tmp_path):
    login = {"user": "user", "password": PASSWORD}
    newest, digest = fetch(tmp_path, repository, **login)
    assert newest == {"sub/run": ("0o755", "two")}
    assert fetch(tmp_path, repository, ref="main", **login) == (newest, digest)
    first, other = fetch(tmp_path, repository, ref="v1", **login)
    assert first == {"sub/run": ("0o755", "one")}
    commit = subprocess.run(
        ["git", "-C", tmp_path / "repository", "rev-parse", "v1"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert fetch(tmp_path, repository, ref=commit, **login) == (first, other)
    assert fetch(tmp_path, repository, ref=commit[:9], **login) == (first, other)


def test_what_is_wrong_is_said_without_the_password(repository, tmp_path):
    with pytest.raises(Unfetched, match="the repository has no v9"):
        fetch(tmp_path, repository, ref="v9", user="user", password=PASSWORD)
    with pytest.raises(Unfetched, match="git cannot fetch it") as refused:
        fetch(tmp_path, repository, user="user", password=PASSWORD + "x")
    assert PASSWORD not in str(refused.value)
    with pytest.raises(Unfetched, match="is no branch"):
        fetch(tmp_path, repository, ref="--upload-pack=x")


def test_no_argument_has_the_password(repository, tmp_path, monkeypatch):
    seen = []
    real = command.run
    monkeypatch.setattr(command, "run", lambda argv, **keys: seen.append(argv) or real(argv, **keys))
    fetch(tmp_path, repository, user="user", password=PASSWORD, key="a key\n")
    assert seen
    assert PASSWORD not in str(seen)
    assert "a key" not in str(seen)


def test_a_robot_without_git_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setitem(git.ENVIRONMENT, "PATH", str(tmp_path))
    with pytest.raises(Unfetched, match="this robot has no git; install it, or"):
        fetch(tmp_path, "https://a.example/x")


def test_nobody_else_is_given_the_password(repository, tmp_path):
    """Not who a submodule names, nor to whom the server leads."""
    asked = []

    class Other(Handler):
        def do_GET(self):
            asked.append(self.headers.get("Authorization"))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="r"')
            self.end_headers()

    class Leads(Handler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{other.server_port}{self.path}")
            self.end_headers()

    other, leads = (http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Other, Leads))
    for server in (other, leads):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(*words):
        subprocess.run(["git", "-C", str(tmp_path / "repository"), *words], check=True, env=ENVIRONMENT, capture_output=True)

    (tmp_path / "repository/.gitmodules").write_text(f'[submodule "s"]\npath = s\nurl = http://127.0.0.1:{other.server_port}/evil.git\n')
    run("add", ".gitmodules")
    run("update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,s")
    run("commit", "--quiet", "-m", "three")
    run("update-server-info")
    try:
        for url in (repository, f"http://127.0.0.1:{leads.server_port}/x.git"):
            with pytest.raises(Unfetched) as refused:
                fetch(tmp_path, url, user="user", password=PASSWORD)
            assert "askpass" not in str(refused.value)
    finally:
        for server in (other, leads):
            server.shutdown()
            server.server_close()
    assert asked
    assert set(asked) == {None}
