# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units whose identities stay registered: those that a robot has of a job, and those that it may soon have."""

from __future__ import annotations

import pathlib

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests.main import OPERATIONS

JOB = {"namespace": "n", "name": "j"}
NEEDS = (plan.need("/run/spire/agent.sock", "spire_agent"),)


def unit(name):
    return plan.unit(name, "[Service]\nExecStart=/bin/true\n", run="service")


def held(robot):
    return OPERATIONS["held"](robot, {"op": "held", "jobs": [JOB]})


def recorded(robot, job, *units, needs=NEEDS):
    group = {"name": "g", "release": "r1", "resources": list(units), "leftovers": [], "secrets": None, "ports": [], "needs": list(needs)}
    robot.ledger.save({**job, "state": "whole", "plan": "d", "groups": {"g": group} if units else {}, "robot": "robot1"})


def test_what_the_ledger_has_of_these_jobs_and_of_no_others(robot):
    assert held(robot) == {"status": "ok", "units": []}
    recorded(robot, JOB, unit("k8s4r-proxy-g.service"), plan.directory("/etc/k8s4r/groups/g"))
    recorded(robot, {**JOB, "name": "other"}, unit("k8s4r-proxy-other.service"))
    assert held(robot)["units"] == ["k8s4r-proxy-g.service"]


def test_what_needs_no_identity_any_more_is_not_held(robot):
    """Its proxy goes on without: nobody deployed it again meanwhile, and the identity that it had may go."""
    recorded(robot, JOB, unit("k8s4r-proxy-g.service"), needs=[plan.need("/usr/local/bin/envoy", "envoy")])
    assert held(robot)["units"] == []


def test_what_another_run_has_staged_and_is_about_to_switch_to(robot):
    """It has registered the identity by then."""
    groups = [{"id": "g", "name": "g", "resources": [unit("k8s4r-proxy-g.service")], "needs": list(NEEDS), "ports": [], "secrets": None}]
    jobs = [{**JOB, "digest": "d", "before": {"state": "empty", "plan": ""}, "base": {}, "groups": groups}]
    jobs.append({**jobs[0], "name": "other", "groups": [{**groups[0], "resources": [unit("k8s4r-proxy-other.service")]}]})
    robot.keep_manifest({"release": "r2", "who": "w", "robot": "robot1", "keep_data": False, "jobs": jobs})
    assert held(robot)["units"] == ["k8s4r-proxy-g.service"]
    robot.forget_manifest("r2")
    assert held(robot)["units"] == []


def test_what_was_staged_and_has_been_overtaken_is_nothing_that_anybody_will_have(robot):
    """Whoever staged it, and went, would be refused: his identities need not stay for it. Nor does a damaged file keep them."""
    recorded(robot, JOB, unit("k8s4r-proxy-g.service"))
    groups = [{"id": "g", "name": "g", "resources": [unit("k8s4r-proxy-old.service")], "needs": list(NEEDS), "ports": [], "secrets": None}]
    job = {**JOB, "digest": "d", "before": {"state": "empty", "plan": ""}, "base": {"g": "r0"}, "groups": groups}
    manifest = {"release": "r2", "who": "w", "robot": "robot1", "keep_data": False, "jobs": [job]}
    robot.keep_manifest(manifest)
    assert held(robot)["units"] == ["k8s4r-proxy-g.service"]
    robot.write_journal({"release": "r2", "groups": {}, "changes": [], "spare": []})
    assert held(robot)["units"] == ["k8s4r-proxy-g.service", "k8s4r-proxy-old.service"]
    robot.end_journal()
    for path in pathlib.Path(robot.manifest_path("r2")).parent.iterdir():
        path.write_text("rubbish")
    assert held(robot)["units"] == ["k8s4r-proxy-g.service"]
