# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `validate` says of job files, alone and with an inventory. No robot of it can be reached."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home.capabilities import Capabilities
from tests import loaded
from tests.lint.tools import CHECKOUT

JOB = """
name: web
strict: {strict}
taskGroups:
  - name: web
    count: 3
    constraints: [{{lTarget: "${{meta.arm}}", operand: "=", rTarget: left}}]
    tasks: [{{name: app, config: {{execConfig: {{command: app}}}}, resources: {{memoryHigh: 5Mi, cpu: {cpu}}}}}]
"""
ROBOTS = {
    "work1": {"k8s4r_labels": {"arm": "left"}},
    "work2": {"k8s4r_labels": {"arm": "left"}, "k8s4r_attributes": {"cgroup": "1", "cpu.numcores": "2"}},
    "work3": {},
}
OLD = {"systemd": "247", "kernel.name": "linux", "cgroup": "2"}


def validate(tmp_path: pathlib.Path, *more: str, strict: str = "false", cpu: str = "500m", job: str = "") -> tuple[int, str]:
    (tmp_path / "job.yml").write_text(job or JOB.format(strict=strict, cpu=cpu), encoding="utf-8")
    inventory = {"all": {"vars": {"ansible_host": "192.0.2.1"}, "children": {"robots": {"hosts": ROBOTS}}}}
    (tmp_path / "robots.json").write_text(json.dumps(inventory), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "ANSIBLE_NOCOLOR": "1", "K8S4R_HOME": str(tmp_path)}
    done = loaded.run("k8s4r.robot.validate", "-e", "job=job.yml", *more, environment=environment, directory=tmp_path)
    return done.returncode, done.stdout + " ".join(done.stderr.split())


def test_without_an_inventory_the_file_alone_is_checked(tmp_path):
    status, said = validate(tmp_path)
    assert (status, "job.yml: default/web is valid" in said, "robot" in said.partition("TASK")[2]) == (0, True, False)


ANYWHERE = """
name: web
robotSelector: {site: north}
taskGroups:
  - name: g
    count: 2
    constraints: [{lTarget: "${attr.os.name}", operand: "=", rTarget: debian}]
    network:
      spiffe: {trustDomain: fleet.example}
      ports: [{label: web, static: 8080}]
      upstreams:
        - {name: one, localPort: 5432, upstream: "one.example:5432"}
        - {name: two, localPort: 5433, upstream: "two.example:5432", tls: {mode: spiffe, spiffeId: "spiffe://other/ns/a/job/b/group/c"}}
    tasks:
      - name: app
        config: {execConfig: {command: app, args: ["${meta.color}", "${attr.foo}", "${node.class}", "${NOMAD_PORT_web}"]}}
        resources: {cpu: "64", memory: 4Gi, cpus: "3"}
"""


def test_without_an_inventory_what_is_wrong_anywhere_is_found_and_nothing_else(tmp_path):
    status, said = validate(tmp_path, job=ANYWHERE)
    assert (status, "default/web is valid" in said) == (0, True), said
    status, said = validate(tmp_path, job=ANYWHERE.replace("PORT_web", "PORT_wep") + "        volumes: [{source: /srv, target: /usr/x}]\n")
    assert status != 0
    assert "args[3]: ${NOMAD_PORT_wep} has no value; declare the port wep in network.ports, or remove it from" in said
    assert 'volumes[0].target: found "/usr/x": /usr is the system\'s own' in said


def test_a_name_without_a_value_is_one_error_for_the_file(tmp_path):
    job = ANYWHERE.replace("PORT_web", "PORT_wep") + '        env: {A: "${NOMAD_PORT_wep}"}\n'
    for inventory in ((), ("-i", "robots.json")):
        status, said = validate(tmp_path, *inventory, job=job)
        assert (status, said.count("${NOMAD_PORT_wep} has no value")) == (2, 1), said
        assert "${NOMAD_PORT_wep} has no value, also on line" in said, said


def test_with_one_it_says_what_each_robot_gets_and_cannot_do(tmp_path):
    for robot in ("work1", "work2", "work3"):
        Capabilities(tmp_path).write(robot, OLD)
    status, said = validate(tmp_path, "-i", "robots.json")
    assert status == 0, said
    rows = [line.split() for line in said.splitlines() if line.startswith("web/web")]
    assert [row[1] for row in rows] == ["work1", "work2", "work3"]
    assert sorted(index.strip(",") for row in rows[:2] for index in row[2:]) == ["r0", "r1", "r2"]
    assert rows[2][2:] == ["nothing"]
    assert "taskGroups[0].tasks[0].resources.memoryHigh: has no effect on the robot: it has cgroup v1 (for work2)" in said
    assert "not known yet" not in said
    assert "(for work1" not in said


def test_what_rules_a_robot_out_is_said_with_v(tmp_path):
    _status, said = validate(tmp_path, "-i", "robots.json", "-v")
    assert "work3  nothing: taskGroups[0].constraints[0] requires ${meta.arm} = left" in said


def test_robots_that_were_never_asked_are_named(tmp_path):
    status, said = validate(tmp_path, "-i", "robots.json")
    assert (status, "it is not known yet what work1, work2, work3 can do" in said) == (0, True), said


def test_what_a_robot_may_make_good_when_it_is_asked_is_no_error(tmp_path):
    status, said = validate(tmp_path, "-i", "robots.json", cpu='"${attr.cores}"')
    assert status == 2, said
    status, said = validate(tmp_path, "-i", "robots.json", cpu="3")
    found = "cpu: asks for 3 cores, and the robot has 2 (for work2)" in said
    assert (status, found, "it is not known yet" in said) == (0, True, True), said


NOWHERE = "no robot can run this group: "


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("robotSelector: {arn: left}", f"{NOWHERE}robotSelector.arn requires 'left'"),
        ("datacenters: [nowhere]", f"{NOWHERE}datacenters allows nowhere"),
        # Of two reasons, one may be made good.
        ("datacenters: [nowhere]\nconstraints: [{lTarget: '${attr.os.name}', rTarget: debian}]", f"{NOWHERE}datacenters allows nowhere"),
    ],
)
def test_what_the_inventory_alone_decides_is_an_error_though_no_robot_was_asked(tmp_path, more, said):
    status, told = validate(tmp_path, "-i", "robots.json", job=f"{JOB.format(strict='false', cpu='500m')}\n{more}\n")
    assert (status, f"job.yml:5:5: taskGroups[0]: {said}" in told) == (2, True), told


def test_which_robots_have_what_they_report_is_not_known_before_they_are_asked(tmp_path):
    more = "constraints: [{lTarget: '${attr.os.name}', rTarget: debian}]"
    status, said = validate(tmp_path, "-i", "robots.json", job=f"{JOB.format(strict='false', cpu='500m')}\n{more}\n")
    assert (status, "${attr.os.name} is unknown for work1, work2, work3" in said) == (0, True), said


def test_what_is_wrong_on_any_robot_is_an_error_though_none_was_asked(tmp_path):
    status, said = validate(tmp_path, "-i", "robots.json", job=ANYWHERE.replace("PORT_web", "PORT_wep"))
    assert (status, "args[3]: ${NOMAD_PORT_wep} has no value" in said) == (2, True), said


def test_what_a_deployment_would_refuse_is_refused(tmp_path):
    for robot in ROBOTS:
        Capabilities(tmp_path).write(robot, OLD)
    status, said = validate(tmp_path, "-i", "robots.json", strict="true")
    assert (status, "memoryHigh: has no effect on the robot: it has cgroup v1 (for work2)" in said) == (2, True), said
    status, said = validate(tmp_path, "-i", "robots.json", cpu="3")
    assert (status, "cpu: asks for 3 cores, and the robot has 2 (for work2)" in said) == (2, True), said


def test_templates_are_rendered_for_robots_that_are_known_and_read_for_others(tmp_path):
    task = '{name: app, config: {execConfig: {command: app}}, templates: [{embeddedTmpl: "{{ nope }}", destPath: local/a}]}'
    job = f"name: web\ntaskGroups: [{{name: g, tasks: [{task}]}}]\n"
    assert validate(tmp_path, job=job)[0] == 0
    assert "is not valid Jinja" in validate(tmp_path, job=job.replace("{{ nope }}", "{{ nope"))[1]
    for robot in ("work1", "work2", "work3"):
        Capabilities(tmp_path).write(robot, OLD)
    status, said = validate(tmp_path, "-i", "robots.json", job=job)
    assert status != 0
    assert "templates[0].embeddedTmpl: line 1 of the template: nope is undefined (for work" in said
