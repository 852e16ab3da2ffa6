# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot's Consul agent finds in its directory, and when it is told to look."""

from __future__ import annotations

import http.server
import os
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.consul import agent
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import errors

DEFINITION = '{"service": {"id": "k8s4r-one"}}'
NO_RELOAD = "consul.service has no reload"


class Agent:
    """Its directory, in which somebody else has a file, and the reloads that it was asked for."""

    def __init__(self, home: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
        self.committed, self.directory, self.told = home / "committed", home / "agent", list[list[str]]()
        self.fails, self.is_up = False, True
        for each in (self.committed, self.directory):
            each.mkdir()
        (self.directory / "consul.hcl").write_text("")
        patch.setattr(plan, "REGISTERED", str(self.committed))
        patch.setattr(agent, "_READ", str(home / "read"))
        patch.setattr(agent.systemd, "need", self._reload)
        patch.setattr(agent.systemd, "show", self._show)

    def _show(self, units: list[str]) -> dict[str, dict[str, str]]:
        return {unit: {"ActiveState": "active" if self.is_up else "inactive"} for unit in units}

    def _reload(self, argv: list[str], **_options: object) -> None:
        if self.fails:
            raise errors.CommandFailed(NO_RELOAD)
        self.told.append(argv)

    def commit(self, **services: str) -> None:
        for path in self.committed.iterdir():
            path.unlink()
        for name, text in services.items():
            (self.committed / f"{name}.json").write_text(text)

    def settle(self) -> list[str]:
        return agent.settle(str(self.directory))

    @property
    def has(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.directory.iterdir() if path.name != "consul.hcl"}


@pytest.fixture
def consul(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    return Agent(tmp_path, monkeypatch)


def test_it_has_what_is_committed_and_is_told_once(consul: Agent) -> None:
    assert consul.settle() == []
    assert consul.told == []
    consul.commit(a="1", b="2")
    assert (consul.settle(), consul.settle()) == ([], [])
    assert consul.has == {"k8s4r-a.json": "1", "k8s4r-b.json": "2"}
    assert len(consul.told) == 1
    consul.commit(a="3")
    assert consul.settle() == []
    assert consul.has == {"k8s4r-a.json": "3"}
    consul.commit()
    assert consul.settle() == []
    assert consul.has == {}
    assert len(consul.told) == 3
    assert (consul.directory / "consul.hcl").exists()


def test_what_goes_is_taken_out_before_and_comes_back_with_what_is_committed(consul: Agent) -> None:
    consul.commit(a=DEFINITION, b="2")
    consul.settle()
    agent.withdraw(["a.json"], str(consul.directory))
    assert consul.has == {"k8s4r-b.json": "2"}
    assert len(consul.told) == 2
    consul.settle()
    assert consul.has == {"k8s4r-a.json": DEFINITION, "k8s4r-b.json": "2"}


def test_who_is_about_to_stop_waits_until_the_agent_no_longer_knows_it(consul: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = [200, 200, 404], []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answers[len(asked) - 1])
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        monkeypatch.setattr(agent, "_API", server.server_address)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        consul.commit(a=DEFINITION)
        consul.settle()
        agent.withdraw(["a.json"], str(consul.directory))
        server.shutdown()
    assert asked == ["/v1/agent/service/k8s4r-one"] * 3


def test_what_it_was_not_told_is_told_by_the_next_switch(consul: Agent) -> None:
    consul.commit(a="1")
    consul.fails = True
    (said,) = consul.settle()
    assert NO_RELOAD in said
    consul.fails = False
    assert consul.settle() == []
    assert len(consul.told) == 1


def test_what_somebody_else_has_taken_away_comes_back_and_it_is_told(consul: Agent) -> None:
    consul.commit(a="1")
    consul.settle()
    (consul.directory / "k8s4r-a.json").unlink()
    assert consul.settle() == []
    assert consul.has == {"k8s4r-a.json": "1"}
    assert len(consul.told) == 2


def test_an_agent_that_is_down_is_not_started_and_one_that_starts_reads_what_there_is(consul: Agent) -> None:
    consul.is_up = False
    consul.commit(a="1")
    assert consul.settle() == []
    assert (consul.has, consul.told) == ({"k8s4r-a.json": "1"}, [])
    consul.is_up = True
    assert consul.settle() == []
    assert consul.told == [["systemctl", "try-reload-or-restart", "consul.service"]]


def test_whatever_is_in_the_place_of_a_file_is_replaced_and_nobody_waits_for_it(consul: Agent) -> None:
    consul.commit(a="1", b="2")
    os.mkfifo(consul.directory / "k8s4r-a.json")
    (consul.directory / "k8s4r-b.json").symlink_to("/etc/hostname")
    assert consul.settle() == []
    assert consul.has == {"k8s4r-a.json": "1", "k8s4r-b.json": "2"}


def test_what_cannot_be_read_is_told_and_fails_nobody(consul: Agent) -> None:
    (consul.committed / "a.json").mkdir()
    (text,) = consul.settle()
    assert "Is a directory" in text
    agent.withdraw(["a.json"], str(consul.directory))
    (consul.committed / "a.json").rmdir()
    consul.commit(a="no definition")
    agent.withdraw(["a.json"], str(consul.directory))


def test_registrations_are_told_from_other_files() -> None:
    resources: t.Any = [{"path": f"{plan.REGISTERED}/a.0.json"}, {"path": f"{plan.CONFIGURATION}/groups/b.json"}, {"name": "c.service"}]
    assert agent.registrations(resources) == {"a.0.json"}
