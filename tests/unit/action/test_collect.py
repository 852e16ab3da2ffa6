# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action collect names for the rest of the play is there, and what it says."""

from __future__ import annotations

import types

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import collect
from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions.collect import TASKS
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import outcome
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.action import ActionProblem

PREPARED = {"status": "staged", "steps": ["start x"], "missing": [], "entries_differ": False}


@pytest.mark.parametrize("answer", [PREPARED, {**PREPARED, "status": "stale"}, {**PREPARED, "status": "lacking", "missing": ["envoy"]}])
@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("verify", [False, True])
def test_the_tasks_that_come_next_are_a_file(answer, check, verify):
    found = outcome.what_next({"a": answer}, (), check, verify, False)
    assert (TASKS / f"{found.file}.yml").is_file()


def test_callers_that_are_not_in_the_run_are_a_change_of_their_robot():
    answers = {"a": {**PREPARED, "status": outcome.TELLS}, "b": {"status": "unchanged"}}
    found = outcome.what_next(answers, (), False, False, False, following=True)
    assert (found.file, found.machines) == (outcome.SWITCH_WITH_FOLLOWERS, ["a"])


def test_lost_robots_are_named_with_those_that_should_have_been_told():
    robots = {"a": {"tells": ["default/front/web"]}, "b": {"tells": []}, "c": {}}
    assert outcome.untold(["a", "b", "c", "d"], robots) == [
        "a was not reached: default/front/web keeps the endpoints that it has; run again"
    ]


class Collect(collect.ActionModule):
    """The action; it keeps the lines that it says."""

    def __init__(self) -> None:
        self._task = types.SimpleNamespace(check_mode=False)
        self.said = []
        self._display = types.SimpleNamespace(display=self.said.append)

    def collects(self, answers, **more):
        """Its result where robots have answered so; of one that is not there, None."""
        known = {name: {"k8s4r_prepared": answer} for name, answer in answers.items() if answer}
        job = {"namespace": "default", "name": "shop", "digest": "", "empty": False}
        jobs = [{**job, "name": name} for name in more.pop("jobs", ["shop"])]
        robots = {name: {"jobs": jobs} for name in answers}
        run = {"robots": robots, "state": more.pop("state", "present"), "verify_entries": False, "identities": False}
        variables = {
            "groups": {"robots": list(answers)},
            "ansible_play_hosts_all": list(answers),
            "ansible_play_hosts": list(known),
            "hostvars": types.SimpleNamespace(raw_get=lambda name: known.get(name, {})),
            "k8s4r_compiled": run,
        }
        names = {"compiled": "k8s4r_compiled", "prepared": "k8s4r_prepared"}
        return self.act({"again": False, "provisioned": False, **names, **more.pop("arguments", {})}, {**variables, **more})


NEW = {"group": "default/shop/web", "unit": "", "does": "new", "why": ["r0 app"]}
ARTIFACT = {"group": "default/shop/web", "unit": "r0 app", "does": "artifact https://x/a.gz is sha256:d1cc", "why": [], "fetched": True}
LATER = {**ARTIFACT, "does": "artifact https://x/a.gz is still to be fetched"}
FETCHED = {**PREPARED, "summary": [ARTIFACT, NEW]}
LACKING = {**PREPARED, "status": "lacking", "missing": ["envoy"], "summary": [LATER, NEW]}
IS = "web r0 app: artifact https://x/a.gz is sha256:d1cc"


def test_what_could_not_be_known_before_robots_were_provisioned_is_said_after_that():
    collect = Collect()
    first = collect.collects({"a": LACKING, "b": FETCHED})
    assert collect.said == [
        "a: envoy is installed or started first",
        "a: web r0 app: artifact https://x/a.gz is still to be fetched",
        "a, b: web: new (r0 app)",
        f"b: {IS}",
    ]
    collect.said.clear()
    provisioned = {"arguments": {"provisioned": True}, "k8s4r_collected": first}
    collect.collects({"a": FETCHED, "b": {**PREPARED, "summary": [NEW]}}, **provisioned)
    assert collect.said == ["as said above", f"a: {IS}"]
    collect.said.clear()
    collect.collects({"a": None, "b": {**PREPARED, "summary": [NEW]}}, **provisioned)
    assert collect.said == ["as said above", "a: off, run again"]


def test_a_robot_that_is_asked_again_after_that_hides_nothing():
    collect = Collect()
    first = collect.collects({"a": LACKING, "b": FETCHED})
    provisioned = {"provisioned": True}
    collect.said.clear()
    stale = collect.collects({"a": FETCHED, "b": {"status": "stale"}}, arguments=provisioned, k8s4r_collected=first)
    assert collect.said == ["b: asked what jobs can use there; the jobs are compiled again, and the changes follow", f"a: {IS}"]
    collect.said.clear()
    other = {**PREPARED, "summary": [NEW, {**NEW, "unit": "r0 app", "does": "restart"}]}
    collect.collects({"a": {**PREPARED, "summary": [NEW]}, "b": other}, arguments=provisioned, k8s4r_collected=stale)
    assert collect.said == ["as said above", "b: web r0 app: restart (r0 app)"]


@pytest.mark.parametrize("other", [{"status": "refused", "errors": ["port 80 is taken"]}, {"status": "failed", "errors": ["disk full"]}])
def test_what_a_robot_has_fetched_is_said_although_another_one_refuses(other):
    collect = Collect()
    with pytest.raises(ActionProblem, match="nothing was changed"):
        collect.collects({"a": FETCHED, "b": other, "c": LACKING})
    assert collect.said == [f"a: {IS}"]


def test_what_a_robot_has_fetched_is_said_although_another_one_lacks_something_for_ever():
    collect = Collect()
    with pytest.raises(ActionProblem, match="still missing after provisioning"):
        collect.collects({"a": FETCHED, "c": LACKING}, arguments={"provisioned": True}, k8s4r_collected={"summary": []})
    assert collect.said == [f"a: {IS}"]


ONLY_DATA = "robots have only kept data left, which a removal without keep_data=true deletes"
NONE_HAS = "No robot of this run has any of these jobs:"


@pytest.mark.parametrize(
    ("jobs", "there", "said"),
    [
        (["shop"], ["default/shop"], [f"Of default/shop, {ONLY_DATA}"]),
        (["shop", "web"], ["default/shop", "default/web"], [f"Of default/shop, default/web, {ONLY_DATA}"]),
        (
            ["shop", "wbe"],
            ["default/shop", "default/web"],
            [f"{NONE_HAS} default/wbe; did you mean default/web?", f"Of default/shop, {ONLY_DATA}"],
        ),
        (["shop"], ["default/web"], [f"{NONE_HAS} default/shop; there are: default/web"]),
    ],
)
def test_a_removal_that_finds_only_kept_data_says_so(jobs, there, said):
    collect = Collect()
    collect.collects({"a": {"status": "unchanged", "has": there}, "b": {"status": "unchanged"}}, state="absent", jobs=jobs)
    assert collect.said == said
