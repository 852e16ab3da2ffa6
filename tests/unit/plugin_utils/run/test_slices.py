# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each robot is asked, and that the second compilation is the first one."""

from __future__ import annotations

import functools
import json

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import parcel, slices
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import key

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
DIGEST = functools.partial(key.digest, b"k" * 32)
FLEET = Fleet(
    tuple(Robot(name, name, labels={"role": "work"}) for name in ("a", "b")),
    trust_domain="fleet.example",
    peers={"x:1": "spiffe://fleet.example/x"},
    skip_init_tasks=frozenset({"install"}),
)


def packed(text: str = JOB) -> tuple[list, parcel.Parcel]:
    source = reader.Source("web.yml", text)
    jobs, _warnings = reader.load([source])
    return jobs, parcel.Parcel(sources=(source,), fleet=FLEET, placement=place(jobs, FLEET))


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


def on_the_way(data):
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("text", [JOB, SERVED])
@pytest.mark.parametrize("robot", ["a", "b"])
def test_a_robots_share_is_all_that_its_second_compilation_needs(text, robot):
    jobs, sent = packed(text)
    first = slices.compile_one(jobs, sent, robot)
    arrived = parcel.from_data(on_the_way(sent.texts()), on_the_way(sent.share(robot, first.peers)))
    assert arrived.sources == sent.sources
    assert arrived.fleet.robots == (FLEET.robot(robot),)
    assert slices.compile_one(jobs, arrived, robot) == first
    assert set(first.peers) == ({"b:9443", "x:1"} if text == SERVED else set())


def test_a_share_does_not_grow_with_the_fleet():
    jobs, sent = packed(SERVED)
    more = FLEET._replace(robots=(*FLEET.robots, *(Robot(f"c{number:02}", f"c{number:02}") for number in range(50))))
    grown = parcel.Parcel(sources=sent.sources, fleet=more, placement=place(jobs, more))
    before, after = (each.share("a", slices.compile_fleet(jobs, each, DIGEST).peers["a"]) for each in (sent, grown))
    assert before == after


def test_slices_hold_digests_and_no_values():
    jobs, sent = packed()
    robots = slices.compile_fleet(jobs, sent, DIGEST).robots
    assert sorted(robots) == ["a", "b"]
    assert "canary" not in json.dumps(robots)
    # One instance: one of the two holds it, the other shall hold nothing.
    assert sorted(job["empty"] for jobs_ in robots.values() for job in jobs_) == [False, True]


def test_where_the_job_file_lies_is_not_in_the_digest():
    here, there = ([reader.Source(name, SERVED)] for name in ("web.yml", "jobs/web.yml"))
    asked = []
    for source in (here, there):
        jobs, _warnings = reader.load(source)
        asked.append(slices.compile_fleet(jobs, parcel.Parcel(fleet=FLEET, placement=place(jobs, FLEET)), DIGEST).robots)
    assert asked[0] == asked[1]


def test_a_registration_entry_counts_in_its_jobs_digest_alone():
    jobs, sent = packed(JOB + "---\nname: other\ntaskGroups: [{name: front, tasks: [{name: m, config: {execConfig: {command: a}}}]}]\n")
    robot = next(iter(sent.placement.instances[("default", "web", "front")]))
    compiled = slices.compile_one(jobs, sent, robot)
    changed = compiled._replace(entries=tuple({**entry, "dns_names": ["x"]} for entry in compiled.entries))
    before, after = (slices.requests(each, DIGEST) for each in (compiled, changed))
    assert compiled.entries
    assert [one["name"] for one, two in zip(before, after, strict=True) if one != two] == ["web"]


def test_the_errors_of_all_robots_are_found_and_each_is_said_once():
    text = JOB.replace("name: web\n", "name: web\ntype: system\n").replace(', tls: {spiffeId: "spiffe://fleet.example/api"}', "")
    jobs, sent = packed(text)
    with pytest.raises(JobErrors, match="no identity is known") as raised:
        slices.compile_fleet(jobs, sent, DIGEST)
    assert len(raised.value.errors) == 1


def test_a_removed_job_is_an_empty_plan_on_every_robot():
    removal = parcel.Parcel(removed=(("default", "web"),), fleet=FLEET)
    robots = slices.compile_fleet([], removal, DIGEST).robots
    assert {(job["name"], job["empty"]) for jobs in robots.values() for job in jobs} == {("web", True)}
    arrived = parcel.from_data(on_the_way(removal.texts()), on_the_way(removal.share("a", {})))
    assert slices.requests(slices.compile_one([], arrived, "a"), DIGEST) == robots["a"]
