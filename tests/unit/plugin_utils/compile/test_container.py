# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a container in a plan."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import anywhere

from .one_robot import compiled, refusal

JOB = """
name: j
meta: {which: "%s"}
taskGroups:
  - name: g
    tasks:
      - name: app
        driver: docker
        config: {dockerConfig: {image: "%s"}}
"""


def image(which: str, name: str) -> str:
    (group,) = compiled(JOB % (which, name)).plan["jobs"][0]["groups"]
    (found,) = [each for each in group["resources"] if each["kind"] == "image"]
    return found["reference"]


@pytest.mark.parametrize(
    ("which", "name", "found"),
    [("1.2", "team/app:${meta.which}", "team/app:1.2"), ("r.example:5000/app", "${meta.which}", "r.example:5000/app")],
)
def test_names_are_replaced_in_an_image(which, name, found):
    assert image(which, name) == found


@pytest.mark.parametrize(
    ("which", "name"),
    [("--help", "${meta.which}"), ("a b", "team/app:${meta.which}"), ("UPPER", "${meta.which}/app:1"), ("-x", "${meta.which}app")],
)
def test_what_an_image_has_become_is_looked_at_again(which, name):
    refused = refusal(JOB % (which, name))
    became = name.replace("${meta.which}", which)
    assert f'taskGroups[0].tasks[0].config.dockerConfig.image: "{became}", which it becomes on robot ' in refused
    assert refused.rstrip("']").endswith("correct the label or meta that it is made from")


@pytest.mark.parametrize("secret", ["team/app:1", "No Name!"])
def test_a_secret_is_no_part_of_an_image_and_not_shown(secret):
    job = (JOB % ("", "registry/${meta.which}")).replace('""', f'!vault "${secret}"')
    refused = refusal(job)
    assert "config.dockerConfig.image: a secret cannot be part of an image's name; write another name" in refused
    assert secret not in refused


def test_what_is_no_robot_has_no_image():
    jobs, _warnings = reader.load([reader.Source("j.yml", JOB % ("", "r.example:${meta.port}/app:1"))])
    assert anywhere.check(jobs) == []


@pytest.mark.parametrize(("network", "dropped"), [("host", ["MKNOD", "NET_RAW"]), ("bridge", ["MKNOD"])])
def test_root_of_a_container_cannot_read_what_passes_through_the_robot(network, dropped):
    (group,) = compiled((JOB % ("", "team/app")).replace("}}", f", networkMode: {network}}}}}")).plan["jobs"][0]["groups"]
    (content,) = (
        each["content"]
        for each in group["resources"]
        if "CapDrop" in each.get("content", "") and each["kind"] == "file" and each["path"].endswith(".json")
    )
    assert json.loads(content)["body"]["HostConfig"]["CapDrop"] == dropped
