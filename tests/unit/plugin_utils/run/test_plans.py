# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each robot is asked, and the plans that travel sealed."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.peers import known_services
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.rendering import Unrendered
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.site import Site
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.home import key
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.brings.templates import Template
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Options, Source
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import parts, plans
from tests import golden

JOB = """
name: web
taskGroups:
  - name: front
    network:
      upstreams:
        - {name: api, localPort: 8080, upstream: "api:9443", tls: {spiffeId: "spiffe://fleet.example/api"}}
    tasks:
      - name: main
        config: {execConfig: {command: /bin/true}}
        env: {PASSWORD: canary}
"""
KEY = key.Key(b"k" * 32)
FLEET = Fleet(
    tuple(Robot(name, name, labels={"role": "work"}) for name in ("a", "b")),
    trust_domain="fleet.example",
    peers={"x:1": "spiffe://fleet.example/x"},
    skip_init_tasks=frozenset({"install"}),
)


def load(text: str = JOB, name: str = "web.yml") -> list[Job]:
    jobs, _warnings = reader.load([Source(name, text)])
    return jobs


def deployed(jobs: list[Job], fleet: Fleet = FLEET, reached: t.Collection[str] = ("a", "b")) -> dict[str, plans.SealedPlan]:
    return plans.deployment(jobs, fleet, place(jobs, fleet), reached, KEY)[0]


def test_processes_that_share_a_fleet_say_what_one_alone_says(monkeypatch: pytest.MonkeyPatch):
    jobs = load()
    fleet = FLEET._replace(robots=tuple(Robot(name, name) for name in "abcde"))

    def everything() -> list[tuple[str, t.Any, t.Any]]:
        return [(name, found.jobs, KEY.unseal(found.sealed)) for name, found in deployed(jobs, fleet, "abcde").items()]

    alone = everything()
    monkeypatch.setattr(parts, "FEWEST", 1)
    monkeypatch.setattr(parts, "_processors", lambda: 3)
    assert everything() == alone
    assert [name for name, _jobs, _plan in alone] == list("abcde")


@pytest.mark.parametrize("processors", [1, 4])
def test_a_mistake_that_many_robots_have_is_told_once(processors: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "FEWEST", 1)
    monkeypatch.setattr(parts, "_processors", lambda: processors)
    task = {"name": "main", "config": {"execConfig": {"command": "/bin/a"}}, "templates": [{"destPath": "local/a", "embeddedTmpl": "x"}]}
    jobs = load(json.dumps({"name": "web", "type": "system", "taskGroups": [{"name": "front", "tasks": [task]}]}))
    fleet = FLEET._replace(robots=tuple(Robot(name, name) for name in "abcdefghi"))

    def render(site: Site, _template: Template, _environment: t.Mapping[str, str], _services: t.Any) -> str:
        raise Unrendered("level is undefined" if site.robot.name != "b" else "speed is undefined", "define it", "embeddedTmpl", True)

    with pytest.raises(JobErrors) as raised:
        plans.check(jobs, fleet, place(jobs, fleet), render)
    first, second = str(raised.value).splitlines()
    assert first.endswith("templates[0].embeddedTmpl: level is undefined (for a, c, d, e, f, g and 2 more); define it")
    assert second.endswith("speed is undefined (for b); define it")


SERVED = """
name: web
type: system
taskGroups:
  - name: front
    network:
      services: [{name: page, port: 9443, to: "127.0.0.1:8080", allow: [{job: web, group: front}]}]
      upstreams:
        - {name: other, localPort: 9000, upstream: "b:9443"}
        - {name: mapped, localPort: 9001, upstream: "x:1"}
    tasks: [{name: main, config: {execConfig: {command: /bin/true}}}]
"""


@pytest.mark.parametrize("text", [JOB, SERVED])
def test_what_is_sealed_is_what_was_compiled(text):
    jobs = load(text)
    placement = place(jobs, FLEET)
    found = deployed(jobs)
    for robot in ("a", "b"):
        compiled = compile_robot(jobs, FLEET, placement, robot, known_services(jobs, FLEET, placement))
        assert KEY.unseal(found[robot].sealed) == {"plan": compiled.plan, "entries": list(compiled.entries), "tells": []}


@pytest.mark.parametrize("name", golden.names())
def test_a_plan_arrives_as_it_was_sealed(name):
    for compiled in golden.compile_case(name).values():
        arrived = KEY.unseal(plans.sealed_plan(compiled, KEY).sealed)
        assert json.dumps([arrived["plan"], arrived["entries"]]) == json.dumps([compiled.plan, compiled.entries])


VAULTED = """
name: web
meta: {token: !vault x}
taskGroups:
  - name: front
    meta: {other: !vault x}
    tasks:
      - name: main
        config: {execConfig: {command: /bin/true}}
        env: {PLAIN: !vault x, WITH_A_NAME: !vault y, LD_PRELOAD: /lib/x.so}
"""


def test_a_plan_with_secrets_arrives_as_it_was_sealed():
    secrets = {"x": "canary", "y": "canary-${NOMAD_ALLOC_INDEX}"}
    jobs, _warnings = reader.load([Source("web.yml", VAULTED)], Options(decrypt=lambda text: secrets[text.strip()]))
    held = [robot for robot in deployed(jobs).values() if not robot.jobs[0]["empty"]]
    (group,) = KEY.unseal(held[0].sealed)["plan"]["jobs"][0]["groups"]
    assert group["secrets"] == ["canary", "canary-${NOMAD_ALLOC_INDEX}", "canary-0"]


def test_only_robots_that_the_run_reaches_get_a_plan():
    assert list(deployed(load(SERVED), reached={"b"})) == ["b"]
    assert deployed(load(SERVED), reached=["b"])["b"].jobs == deployed(load(SERVED))["b"].jobs


def test_a_plan_does_not_grow_with_the_fleet():
    more = FLEET._replace(robots=(*FLEET.robots, *(Robot(f"c{number:02}", f"c{number:02}") for number in range(50))))
    before, after = (KEY.unseal(deployed(load(SERVED), fleet)["a"].sealed) for fleet in (FLEET, more))
    assert before == after


def test_nothing_that_is_printed_holds_a_value():
    found = deployed(load())
    assert sorted(found) == ["a", "b"]
    assert "canary" not in json.dumps(found)
    assert "canary" in json.dumps([KEY.unseal(robot.sealed) for robot in found.values()])
    # One instance: one of the two holds it, the other shall hold nothing.
    assert sorted(job["empty"] for robot in found.values() for job in robot.jobs) == [False, True]


def test_where_the_job_file_lies_is_not_in_the_digest():
    here, there = (deployed(load(SERVED, name)) for name in ("web.yml", "jobs/web.yml"))
    assert [robot.jobs for robot in here.values()] == [robot.jobs for robot in there.values()]


def test_a_registration_entry_counts_in_its_jobs_digest_alone():
    jobs = load(JOB + "---\nname: other\ntaskGroups: [{name: front, tasks: [{name: m, config: {execConfig: {command: a}}}]}]\n")
    placement = place(jobs, FLEET)
    robot = next(iter(placement.instances[("default", "web", "front")]))
    compiled = compile_robot(jobs, FLEET, placement, robot, known_services(jobs, FLEET, placement))
    changed = compiled._replace(entries=tuple({**entry, "dns_names": ["x"]} for entry in compiled.entries))
    before, after = (plans.sealed_plan(each, KEY).jobs for each in (compiled, changed))
    assert compiled.entries
    assert [one["name"] for one, two in zip(before, after, strict=True) if one != two] == ["web"]


@pytest.mark.parametrize("reached", [["a", "b"], []])
def test_the_errors_of_all_robots_are_found_and_each_is_said_once(reached):
    text = JOB.replace("name: web\n", "name: web\ntype: system\n").replace(', tls: {spiffeId: "spiffe://fleet.example/api"}', "")
    with pytest.raises(JobErrors, match="no identity is known") as raised:
        deployed(load(text), reached=reached)
    assert len(raised.value.errors) == 1


def test_a_removed_job_is_an_empty_plan_on_every_robot():
    found = plans.removal([("default", "web")], ["a", "b"], KEY)
    assert {(job["name"], job["empty"]) for robot in found.values() for job in robot.jobs} == {("web", True)}
    assert KEY.unseal(found["a"].sealed)["plan"]["jobs"] == [{"namespace": "default", "name": "web", "groups": []}]


def test_the_server_is_asked_only_where_a_jobs_registration_entries_differ():
    def had(plan, state="whole"):
        return [{"state": state, "plan": plan}]

    def wanted(digest):
        return [{"digest": digest}]

    assert not plans.other_identities(wanted("p2.e1"), had("p1.e1"))
    assert plans.other_identities(wanted("p1.e2"), had("p1.e1"))
    assert plans.other_identities(wanted("p2."), had("p1.e1"))
    # A robot that has nothing of the job has no entries of it either; of a part of one, or of an older version, nobody knows.
    assert not plans.other_identities(wanted("p1."), had("", "empty"))
    assert plans.other_identities(wanted("p1.e1"), had("", "empty"))
    assert plans.other_identities(wanted("p1."), had("", "partial"))
    assert plans.other_identities(wanted("p2."), had("p1"))
    assert plans.other_identities(wanted("p2."), [])


def test_only_the_part_for_entries_differs_where_only_they_do():
    parts = [job["digest"].split(".") for job in deployed(load(SERVED))["b"].jobs]
    assert all(plan for plan, _entries in parts)
    assert any(entries for _plan, entries in parts)
