# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a consul-template of the robot renders: for templates of a task, and for upstreams."""

from __future__ import annotations

import json
import pathlib

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.peers import known_services
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating.renderer import Renderer

from .one_robot import ROBOT


class _Nobody:
    def has(self, _name: str) -> bool:
        return False


def resources(*templates, upstreams=(), mode="host", job=(), **task):
    command = {"execConfig": {"command": "app"}}
    written = {"name": "app", "config": command, "templates": list(templates), **task}
    network = {"network": {"mode": mode, "upstreams": list(upstreams)}} if upstreams else {}
    document = json.dumps({"name": "shop", **dict(job), "taskGroups": [{"name": "api", "tasks": [written], **network}]})
    jobs, _warnings = reader.load([reader.Source("job.yml", document)])
    fleet = Fleet((ROBOT,), "fleet.example")
    placement = place(jobs, fleet)
    render = Renderer(pathlib.Path("/"), str, lambda _name: _Nobody())
    known = known_services(jobs, fleet, placement)
    (group,) = compile_robot(jobs, fleet, placement, ROBOT.name, known, render=render).plan["jobs"][0]["groups"]
    return {each.get("path") or each["name"]: each for each in group["resources"]}, group


def watch(found, of=""):
    (unit,) = (each for name, each in found.items() if name.startswith(f"k8s4r-watch-{of}"))
    configuration = {path: json.loads(each["content"]) for path, each in found.items() if path.endswith((".once.json", ".watch.json"))}
    return unit, *(configuration[path] for path in unit["reads"][:2])


KEY = {"destPath": "local/a", "embeddedTmpl": '{{ key "a" }}'}


@pytest.mark.parametrize(
    ("keys", "restarts"),
    [({}, True), ({"changeMode": "noop"}, False), ({"changeMode": "signal", "changeSignal": "SIGHUP"}, False)],
)
def test_a_change_is_told_as_the_template_says_and_never_before_the_task_has_started(keys, restarts):
    found, _group = resources({**KEY, **keys})
    _unit, once, always = watch(found)
    assert "command" not in once["template"][0]
    *command, task = always["template"][0].pop("command")
    assert task in found
    (helper,) = [path for path in found if path.endswith("/tell-task")] or [""]
    assert command == (["systemctl", "--no-block", "try-restart"] if restarts else ["/bin/sh", helper])
    # Whoever has a long start is told when it is over.
    assert always["template"][0].pop("command_timeout") == "3600s"
    # What is rendered the first time is put in place when all of it is there.
    (first,), (later,) = once["template"], always["template"]
    directory, _slash, name = later["destination"].rpartition("/")
    assert first == {**later, "destination": f"{directory}/once/{name}"}


def test_the_task_starts_after_what_renders_and_takes_what_was_rendered():
    found, group = resources(KEY, {"destPath": "local/b", "embeddedTmpl": "plain"})
    unit, once, always = watch(found)
    (task,) = (each for name, each in found.items() if name.startswith("k8s4r-task-"))
    assert f"After={unit['name']}\n" in task["content"]
    (listing,) = (json.loads(each["content"]) for each in found.values() if each.get("label") == "templates")
    first, second = (each["from"] for each in listing["templates"])
    assert first == always["template"][0]["destination"]
    assert second in found
    assert once["template"][0]["source"] in unit["reads"]
    assert ("consul", "templates") in [(each["what"], each["name"]) for each in group["expects"]]
    assert "consul-template" in [each["path"] for each in group["programs"]]


def test_the_program_has_the_tasks_variables_but_for_those_that_the_loader_obeys():
    """It is root's, and the task's own are not to be."""
    found, _group = resources(KEY, env={"LD_PRELOAD": "/tmp/mine.so", "TONE": "loud", "TZDIR": "/tmp"})
    unit, _once, _always = watch(found)
    (file,) = (line.partition("=")[2] for line in unit["content"].splitlines() if line.startswith("EnvironmentFile="))
    assert "LD_PRELOAD" in found[file]["content"]
    assert "UnsetEnvironment=LD_PRELOAD TZDIR\n" in unit["content"]


def test_only_what_asks_consul_needs_it():
    found, group = resources({"destPath": "local/b", "embeddedTmpl": '{{ env "A" }}'})
    assert not [name for name in found if "watch" in name]
    assert not [each for each in group["expects"] if each["what"] == "consul"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            {**KEY, "changeMode": "script", "changeScript": {"command": "/bin/true"}},
            "tasks[0].templates[0].changeMode: no script runs when something in Consul changes; write signal, restart or noop",
        ),
        (
            {**KEY, "embeddedTmpl": '{{ key "a" }}{{ env "node.class" }}'},
            "tasks[0].templates[0]: env does not know node.class in a text that is rendered with what is in Consul",
        ),
    ],
)
def test_what_cannot_follow_consul_is_refused(template, said):
    with pytest.raises(JobErrors) as raised:
        resources(template)
    assert said in str(raised.value)


@pytest.mark.parametrize("mode", ["host", "group"])
def test_upstreams_at_a_service_share_its_endpoints(mode):
    one = {"name": "a", "localPort": 7000, "consul": "web", "tls": False}
    found, group = resources(upstreams=[one, {**one, "name": "b", "localPort": 7001}], mode=mode)
    unit, _once, always = watch(found)
    (text,) = always["template"]
    (clusters,) = (json.loads(each["content"])["resources"] for path, each in found.items() if path.endswith("/clusters.json"))
    paths = {each["eds_cluster_config"]["eds_config"]["path_config_source"]["path"] for each in clusters}
    assert paths == {text["destination"]}
    (proxy,) = (each for name, each in found.items() if name.startswith("k8s4r-proxy-"))
    assert f"After={unit['name']}\n" in proxy["content"]
    assert text["source"] in proxy["reads"]
    assert [each["name"] for each in group["expects"] if each["what"] == "consul"] == ["upstreams"]


def test_variables_of_a_container_cannot_follow_consul():
    with pytest.raises(JobErrors) as raised:
        resources({**KEY, "env": True}, driver="docker", config={"dockerConfig": {"image": "a"}})
    assert "tasks[0].templates[0].env: variables of a container cannot follow what is in Consul" in str(raised.value)


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_variables_from_consul_come_after_the_tasks_own(driver):
    found, _group = resources({**KEY, "env": True}, driver=driver)
    (task,) = (each["content"] for name, each in found.items() if name.startswith("k8s4r-task-"))
    first, second = (line for line in task.splitlines() if line.startswith("EnvironmentFile="))
    (listing,) = (json.loads(each["content"]) for each in found.values() if each.get("label") == "templates")
    assert first.endswith(".env")
    assert second == f"EnvironmentFile=-{listing['variables']}"


@pytest.mark.parametrize("job", [{}, {"type": "batch", "schedule": {"cron": "@daily"}}])
def test_what_renders_is_started_with_the_group_or_its_tasks(job):
    """What should run is waited for, also between the runs of a schedule."""
    found, group = resources(KEY, job=job)
    (target,) = (each for each in group["resources"] if each.get("name", "").endswith(".target"))
    (app,) = (each for name, each in found.items() if name.startswith("k8s4r-task-") and name.endswith(".service"))
    wanted = (target if job else app)["content"]
    assert any(line.startswith("Wants=") and watch(found)[0]["name"] in line for line in wanted.splitlines())
