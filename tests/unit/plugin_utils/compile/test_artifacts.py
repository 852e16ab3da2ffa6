# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the artifacts of a task in a plan."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import anywhere

from .one_robot import compiled, refusal

JOB = """
name: j
meta: {sum: "%s"}
taskGroups:
  - name: g
    tasks:
      - name: app
        config: {execConfig: {command: app}}
        artifacts: [%s]
"""


def plan(artifact: str, checksum: str = "", **keys):
    """The group's plan, its artifacts, and where they come from."""
    (group,) = compiled(JOB % (checksum, artifact), **keys).plan["jobs"][0]["groups"]
    (resource,) = [resource for resource in group["resources"] if resource["kind"] == "artifacts"]
    return group, resource, json.loads(resource["content"])


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        ("", "/local"),
        (", relativeDest: local/a//b/", "/local/a/b"),
        (", relativeDest: '${NOMAD_TASK_DIR}/a'", "/local/a"),
        (", relativeDest: local/a.txt, getterMode: file", "/local/a.txt"),
        (", relativeDest: 'local/${meta.arm}'", "/local/left"),
        (", relativeDest: '${NOMAD_ALLOC_DIR}/a'", "/alloc/a"),
        (", relativeDest: alloc/a", "/alloc/a"),
    ],
)
def test_a_destination_is_a_path_of_the_robot(keys, to):
    _group, _resource, (source,) = plan(f"{{getterSource: 'https://a.example/x'{keys}}}")
    assert "/" + source["to"].split("/", 6)[6] == to


@pytest.mark.parametrize("to", ["/etc", "${NOMAD_SECRETS_DIR}/x", "local/../../x", "${NOMAD_TASK_DIR}x"])
def test_nothing_leaves_the_directories_of_the_task(to):
    assert "relativeDest" in refusal(JOB % ("", f"{{getterSource: 'https://a.example/x', relativeDest: '{to}'}}"))


def test_the_unit_takes_its_artifacts_in():
    group, resource, _sources = plan("{getterSource: 'https://a.example/x'}")
    (unit,) = [each for each in group["resources"] if each["kind"] == "unit" and each.get("called") == "r0 app"]
    assert resource["path"] in unit["reads"]
    assert (resource["name"], resource["mode"]) == ("r0 app", "0600")


def test_what_is_secret_is_in_the_content_alone_and_hidden_everywhere():
    address = "'https://user:p%40ssword@a.example/x?token=canary'"
    group, resource, (source,) = plan(f"{{getterSource: {address}, headers: {{A: !vault abc}}, getterOptions: {{filename: !vault abc}}}}")
    assert resource["secret"]
    assert (source["user"], source["password"], source["headers"]) == ("user", "p@ssword", {"A": "hunter2!"})
    assert {"p@ssword", "hunter2!"} <= set(group["secrets"])
    shown = json.dumps([{**each, "content": ""} for each in group["resources"]]) + source["shown"]
    assert "ssword" not in shown
    assert "hunter2" not in shown
    assert source["shown"] == "https://a.example/x"


def test_a_secret_address_is_known_by_its_number():
    _group, _resource, (source,) = plan("{getterSource: '/opt/x'}", source={"vaulted": True})
    assert source["shown"] == "artifacts[0]"


def test_a_session_of_s3_is_a_header():
    key = "aws_access_key_id: a, aws_access_key_secret: b, aws_access_token: session"
    group, _resource, (source,) = plan(f"{{getterSource: 's3::https://s3.amazonaws.com/b/x', getterOptions: {{{key}}}}}")
    assert source["headers"] == {"X-Amz-Security-Token": "session"}
    assert "session" in group["secrets"]


def test_names_are_replaced_before_an_address_is_read():
    artifact = "{getterSource: 'https://a.example/${meta.arm}?checksum=md5:${meta.sum}'}"
    _group, _resource, (source,) = plan(artifact, "0" * 32)
    assert (source["url"], source["checksum"]) == ("https://a.example/left", "md5:" + "0" * 32)
    assert "checksum: md5 has 32" in refusal(JOB % ("1", artifact))
    # Whatever robot it is for, no robot's name for the checksum is known.
    jobs, _warnings = reader.load([reader.Source("j.yml", JOB % ("1", artifact))])
    assert anywhere.check(jobs) == []


def test_a_header_cannot_have_a_newline():
    assert "cannot contain a newline" in refusal(JOB % ("", '{getterSource: "https://a.example/x", headers: {A: "a\\nb"}}'))


CONTAINER = """
name: j
taskGroups:
  - name: g
    tasks:
      - name: app
        driver: docker
        config: {dockerConfig: {image: "x:1", load: %s}}
        artifacts:
          - {getterSource: "https://user:canary@a.example/%s", getterOptions: {archive: "false"}, relativeDest: local/images}
          - {getterSource: "https://a.example/packed.tar"}
"""


def test_an_image_is_loaded_from_an_artifact_that_is_a_file():
    (group,) = compiled(CONTAINER % ("local/images/x.tar", "x.tar")).plan["jobs"][0]["groups"]
    (image,) = [each for each in group["resources"] if each["kind"] == "image"]
    (artifacts,) = [each for each in group["resources"] if each["kind"] == "artifacts"]
    assert image["source"] == json.loads(artifacts["content"])[0]
    assert "canary" in group["secrets"]


@pytest.mark.parametrize("load", ["local/packed.tar", "local/images/y.tar", "local/images/../../x.tar", "alloc/x"])
def test_an_image_is_loaded_from_nothing_else_in_the_task(load):
    assert f"taskGroups[0].tasks[0].config.dockerConfig.load: {json.dumps(load)} is no file that an artifact of this task is" in refusal(
        CONTAINER % (load, "x.tar")
    )
