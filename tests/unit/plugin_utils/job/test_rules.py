# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between keys answer with a new job and what they found; the job that they were given stays as it was."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.document import Document
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Options, Source
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.rules.job import checked

JOB = """\
name: demo
taskGroups:
- name: g
  tasks:
  - name: a
    config: {execConfig: {command: "true"}}
  - name: b
    config: {execConfig: {command: "true"}}
    network:
      upstreams:
      - {name: x, localPort: 80, upstream: "h:1"}
      - {name: y, localPort: 80, upstream: "h:2"}
"""


def parsed():
    job = Document(Source("job.yml", JOB), Options()).parse(yaml.compose(JOB))
    assert job is not None
    return job


def test_a_lifted_network_is_reported_where_its_task_has_written_it():
    result = checked(parsed())
    [(path, _fault)] = result.errors
    assert path == "taskGroups[0].network.upstreams[1].localPort"
    assert result.job.positions[path] == result.job.positions["taskGroups[0].tasks[1].network.upstreams[1].localPort"] == (12, 30)
    assert [bool(task.network) for task in result.job.task_groups[0].tasks] == [False, False]


def test_numbers_that_are_missing_are_not_the_same_number():
    text = """
name: ports
taskGroups:
  - name: g
    network:
      ports: [{label: http, statik: 8080}]
      upstreams: [{name: x, localport: 9, upstream: "h:1"}]
    tasks: [{name: t, config: {execConfig: {command: /bin/true}}}}]
"""
    with pytest.raises(JobErrors) as raised:
        reader.load([reader.Source("ports.yml", text)])
    assert not [error for error in map(str, raised.value.errors) if "already uses" in error or "None" in error]


def test_the_job_that_was_given_stays_as_it_was():
    job = parsed()
    before, positions = copy.deepcopy(job), dict(job.positions)
    checked(job)
    assert job == before
    assert job.positions == positions
    assert "taskGroups[0].network" not in job.positions


def task(**keys):
    config = {"execConfig": {"command": "true"}}
    text = json.dumps({"name": "demo", "taskGroups": [{"name": "g", "tasks": [{"name": "t", "config": config, **keys}]}]})
    job = Document(Source("job.yml", text), Options()).parse(yaml.compose(text))
    assert job is not None
    return checked(job)


def test_a_variable_may_be_as_long_as_linux_takes_it_and_no_longer():
    # NAME=...\0 of 131,072 bytes; a character of two bytes counts as two.
    longest = "x" * (131072 - len("NAME=\0") - 2) + "\u00e4"
    assert task(env={"NAME": longest}).errors == []
    [(path, mistake)] = task(env={"NAME": longest + "x"}).errors
    assert path == "taskGroups[0].tasks[0].env.NAME"
    assert mistake.message() == (
        "is 131,073 bytes long with its name, the = and the NUL at its end, and Linux starts no program with more than 131,072"
    )


def test_root_under_exec_is_said_aloud():
    [(path, mistake)] = task(user="root").warnings
    assert path == "taskGroups[0].tasks[0].user"
    assert "root has no privileges" in mistake.message()
    assert task(user="root", driver="raw_exec").warnings == []
    assert task(user="rover").warnings == []


def test_root_of_a_namespace_is_not_roots_and_may_be_among_the_robots_processes():
    found = task(user="root", isolation={"users": "own", "pid": "host"})
    assert (found.errors, found.warnings) == ([], [])
    [(path, _mistake)] = task(user="root", isolation={"users": "host", "pid": "host"}).errors
    assert path == "taskGroups[0].tasks[0].isolation.pid"


def test_a_capability_that_hears_the_whole_robot_is_said_aloud():
    [(path, mistake)] = task(isolation={"capabilities": ["SYS_NICE", "NET_RAW"]}).warnings
    assert path == "taskGroups[0].tasks[0].isolation.capabilities[1]"
    assert "can read and forge all that the robot sends and receives" in mistake.message()
    assert task(isolation={"capabilities": ["SYS_NICE"]}).warnings == []
