# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the checks of a task in a plan."""

from __future__ import annotations

import json

import pytest

from .one_robot import compiled, refusal

JOB = """
name: j
meta: {door: "1"}
taskGroups:
  - name: g
    network: {services: [{name: api, port: 8443, to: "%s", allow: [{group: g}]}]}
    tasks:
      - name: app
        config: {execConfig: {command: app}}
        env: {KEY: !vault abc}
        services: [{name: s, portLabel: api, checks: [{name: c, %s}]}]
"""


def plan(check: str, to: str = "127.0.0.1:80"):
    """The group's plan, and the file with its checks."""
    (group,) = compiled(JOB % (to, check)).plan["jobs"][0]["groups"]
    (file,) = [resource for resource in group["resources"] if resource.get("path", "").startswith("/etc/k8s4r/checks/")]
    return group, file


@pytest.mark.parametrize(
    ("to", "keys", "place"),
    [
        ("127.0.0.1:80", "", ("127.0.0.1", 80)),
        ("localhost:80", "", ("localhost", 80)),
        ("0.0.0.0:80", "", ("127.0.0.1", 80)),
        ("[::]:80", "", ("::1", 80)),
        ("[::1]:80", "", ("::1", 80)),
        ("[::1]:80", ", portLabel: '81'", ("127.0.0.1", 81)),
    ],
)
def test_a_label_is_a_place_on_the_robot(to, keys, place):
    (check,) = json.loads(plan(f"type: tcp{keys}", to)[1]["content"])["checks"]
    assert (check["host"], check["port"]) == place


def test_a_secret_header_is_in_a_secret_file_and_hidden_everywhere():
    group, file = plan("type: http, headers: {X-Key: !vault abc}")
    assert (file["mode"], file["secret"]) == ("0600", True)
    assert json.loads(file["content"])["checks"][0]["headers"] == {"X-Key": "hunter2!"}
    assert "hunter2!" in group["secrets"]
    assert not plan("type: http, headers: {X-Door: '${meta.door}'}")[1]["secret"]


def test_no_unit_takes_its_checks_in():
    group, file = plan("type: tcp")
    (unit,) = [resource for resource in group["resources"] if resource.get("checks")]
    assert unit["checks"] == file["path"]
    assert file["path"] not in unit["reads"]


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ('type: http, headers: {X: "a\\nb"}', "checks[0].headers.X: an HTTP header cannot contain a newline"),
        ("type: http, headers: {X: '${meta.window}'}", "checks[0].headers.X: ${meta.window} has no value (for r1)"),
        ("type: script, command: x, args: ['${NOMAD_META_window}']", "checks[0].args[0]: ${NOMAD_META_window} has no value (for r1)"),
        ("type: script, command: x, args: ['${KEY}']", "checks[0].args[0]: a secret cannot be used here"),
    ],
)
def test_what_cannot_be_asked_or_run(check, why):
    assert f"services[0].{why}" in refusal(JOB % ("127.0.0.1:80", check))
