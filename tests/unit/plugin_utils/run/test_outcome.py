# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots' answers mean for the rest of the run."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import outcome

UNCHANGED = {"status": "unchanged"}
PREPARED = {"status": "staged", "steps": ["start x"], "missing": [], "entries_differ": False}
BARE = {"status": "lacking", "steps": ["start x"], "missing": ["envoy", "spire_agent"], "entries_differ": True}


def what_next(answers, servers=(), check=False, verify=False, moving=False, destinations=(), following=False):
    return outcome.what_next(answers, servers, check, verify, moving, following, destinations)


def test_nothing_is_left_to_do_where_nothing_changed():
    assert what_next({"a": UNCHANGED, "b": {**PREPARED, "steps": []}}).machines == []


def test_only_robots_with_something_to_switch_are_switched():
    assert what_next({"a": UNCHANGED, "b": PREPARED}) == ("switch", ["b"], {}, False)


def test_the_machine_of_the_server_goes_on_with_the_robots_that_are_asked_again():
    """What is included later on is only for machines for which this was."""
    assert what_next({"a": {"status": "waiting"}, "b": {"status": "stale"}}, servers=["hub"]) == ("again", ["a", "b", "hub"], {}, False)


def test_the_server_is_asked_only_where_an_identity_may_change():
    found = what_next({"a": PREPARED, "b": {**PREPARED, "steps": [], "entries_differ": True}})
    assert found == ("switch_with_identities", ["a", "b"], {}, True)


def test_the_server_is_asked_where_that_is_wanted():
    assert what_next({"a": UNCHANGED}, verify=True) == ("identities", ["a"], {}, True)
    assert what_next({"a": UNCHANGED, "b": PREPARED}, verify=True) == ("switch_with_identities", ["a", "b"], {}, True)


@pytest.mark.parametrize(("verify", "differ"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("turns", [{"following": True}, {"moving": True}, {"moving": True, "following": True}])
def test_turns_are_no_reason_to_ask_the_server(turns, verify, differ):
    answers = {"a": PREPARED, "b": {**PREPARED, "entries_differ": differ}, "c": UNCHANGED}
    asks = verify or differ
    assert what_next(answers, verify=verify, **turns).identities is asks
    # A check has no turns. It asks where the run would, so that both end alike.
    checked = what_next(answers, verify=verify, check=True, **turns)
    assert (checked.file, checked.identities) == ("switch_with_identities" if asks else "switch", asks)


def test_what_moves_is_given_up_after_the_others_have_it_and_a_check_moves_nothing():
    assert what_next({"a": PREPARED}, moving=True).file == "switch_with_moves"
    assert what_next({"a": PREPARED}, moving=True, check=True).file == "switch"


def test_a_robot_that_has_what_moves_to_it_already_is_asked_again_all_the_same():
    answers = {"a": UNCHANGED, "b": PREPARED, "c": UNCHANGED}
    assert what_next(answers, moving=True, destinations={"a", "off"}).machines == ["a", "b"]
    assert what_next(answers, destinations={"a"}).machines == ["b"]


def test_what_is_missing_is_provided_first_with_the_server_of_the_agents():
    assert what_next({"a": PREPARED, "b": BARE, "c": UNCHANGED}, servers=["s"]) == (
        "install_missing",
        ["a", "b", "s"],
        {"spire_server": ["s"], "spire_agent": ["b"], "envoy": ["b"], "nftables": [], "dnsmasq": []},
        False,
    )


def test_the_server_is_left_alone_where_only_envoy_is_missing():
    found = what_next({"b": {**BARE, "missing": ["envoy"]}}, servers=["s"])
    without = {"spire_server": [], "spire_agent": [], "envoy": ["b"], "nftables": [], "dnsmasq": []}
    assert (found.file, found.machines, found.without) == ("install_missing", ["b"], without)


def test_programs_of_walls_are_provided_where_they_are_missing():
    found = what_next({"a": PREPARED, "b": {**BARE, "missing": ["nftables"]}}, servers=["s"])
    without = {"spire_server": [], "spire_agent": [], "envoy": [], "nftables": ["b"], "dnsmasq": []}
    assert (found.file, found.machines, found.without) == ("install_missing", ["a", "b"], without)


def test_check_mode_provides_nothing_and_switches_only_what_is_provided():
    assert what_next({"a": PREPARED, "b": BARE}, servers=["s"], check=True) == ("switch", ["a"], {}, False)


def test_one_robot_that_is_not_as_assumed_sends_all_through_again():
    assert what_next({"a": PREPARED, "b": {"status": "stale"}, "c": BARE}) == ("again", ["a", "b", "c"], {}, False)
    assert what_next({"a": {"status": "waiting"}}) == ("again", ["a"], {}, False)


def test_refusals_of_all_robots_are_one_text_and_the_same_is_said_once():
    answers = {
        "c": {"status": "failed", "errors": ["disk full"]},
        "b": {"status": "refused", "errors": ["port 80 is taken", "disk full"]},
        "a": UNCHANGED,
    }
    assert outcome.refusals(answers).splitlines()[1:] == ["b: port 80 is taken", "b, c: disk full"]
    assert outcome.refusals({"a": UNCHANGED}) == ""
    assert "gave no reason" in outcome.refusals({"a": {"status": "refused"}})


def test_registrations_are_those_of_the_robots_named_and_bound_to_their_agents():
    robots = {
        "a": {"jobs": [{"namespace": "default", "name": "web"}], "agent": "spiffe://x/a"},
        "b": {"jobs": [{"namespace": "default", "name": "web"}], "agent": "spiffe://x/b"},
    }
    wanted = outcome.registrations(robots, {"b": {"entries": [{"entry_id": "1"}]}})
    assert wanted == ([{"entry_id": "1"}], ["/ns/default/job/web/"], ["spiffe://x/b"])


def test_a_failed_switch_says_how_it_ended_and_why():
    assert outcome.failure("arm1", {"status": "rolled-back", "errors": ["unit x"]}).splitlines() == [
        "arm1: the switch failed and was rolled back; there was no earlier release to return to",
        "unit x",
    ]
    assert "back on the last good release: default/a/b\n" in outcome.failure(
        "arm1", {"status": "rolled-back", "restored": ["default/a/b"], "errors": ["unit x"]}
    )
    of_several = {"restored": ["default/a/b"], "undone": ["default/c/d"], "committed": ["default/e/f"], "errors": ["unit x"]}
    assert outcome.failure("arm1", {"status": "rolled-back", **of_several}).splitlines()[0] == (
        "arm1: the switch failed and was rolled back; back on the last good release: default/a/b; gone again, because there was no "
        "earlier release: default/c/d; deployed as this run wants it: default/e/f"
    )
    assert outcome.failure("arm1", {"status": "rolled-back", "undone": ["default/c/d"], "errors": ["unit x"]}).splitlines()[0] == (
        "arm1: the switch failed and was rolled back; there was no earlier release to return to"
    )
    assert "deployed as this run wants it: default/e/f" in outcome.failure("arm1", {"status": "failed", **of_several})
    assert outcome.failure("arm1", {"status": "odd"}) == "arm1: the switch ended with the unexpected status 'odd'"


def test_a_switch_that_ended_well_is_one_line():
    answer = {"changes": ["a", "b"], "units": {"x.service": "active (running)", "y.service": "done"}}
    assert outcome.success("arm1", answer) == "arm1: 2 changes, units: 1 active, 1 done"
    assert outcome.success("arm1", {"changes": ["stop x"], "units": {}}) == "arm1: 1 change"


def test_a_file_that_takes_over_another_files_job_is_named_with_what_goes():
    answers = {"a": {"holds": ["default/web/front", "default/web/back", "x/web/a"]}, "b": {"holds": ["default/web/front"]}, "c": UNCHANGED}
    files = {"default/web": "copy.yml", "x/web": "x.yml"}
    (said,) = outcome.taken_over(answers, files, ["default/web/other", "x/web/a"])
    assert said.startswith("copy.yml has none of the groups of job web that robots run: groups back, front go from a, b. If it is")
    (said,) = outcome.taken_over(answers, files, ["default/web/front", "x/web/b"])
    assert said.startswith("x.yml has none of the groups of job x/web that robots run: group a goes from a. If")
    assert outcome.taken_over({"a": {"holds": []}}, files, []) == []


@pytest.mark.parametrize(
    ("result", "reached"),
    [
        (None, False),
        ({"changed": False, "unreachable": True, "msg": "no route to host"}, False),
        ({"changed": False, "failed": True, "msg": "no Python"}, True),
        # It has answered, and then its provisioning did not succeed.
        (BARE, True),
    ],
)
def test_a_robot_that_has_answered_is_not_off(result, reached):
    assert outcome.was_reached(result) is reached
