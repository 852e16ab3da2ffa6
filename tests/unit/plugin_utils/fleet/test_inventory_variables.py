# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory: everything that is wrong with it is said at once, with host and variable, and no vaulted text is shown."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.catalogue import fleet_from_inventory
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors


class Vaulted:
    """As Ansible hands over a `!vault` value: neither text nor a mapping."""

    def __init__(self, text):
        self.text = text


def rendered(_host, value):
    """What Ansible's templates make of a value."""
    if isinstance(value, Vaulted):
        return value.text
    if isinstance(value, dict):
        return {key: rendered(_host, item) for key, item in value.items()}
    if value == "{{ 1.5 }}":
        return 1.5
    if value == "{{ nothing }}":
        raise ValueError("'nothing' is undefined")
    return value.replace("{{ site }}", "north") if isinstance(value, str) else value


def fleet(hosts, groups=None, **everywhere):
    groups = {"robots": list(hosts), **(groups or {})}
    return fleet_from_inventory(groups, lambda name: {**everywhere, **hosts[name]}, {}, rendered)


def test_vaulted_values_and_templates_are_as_in_the_clear():
    hosts = {"a": {"k8s4r_labels": {"site": Vaulted("north"), "role": "work"}}, "b": {"k8s4r_labels": {"site": "{{ site }}"}}}
    built = fleet(hosts, k8s4r_trust_domain=Vaulted("fleet.example"))
    assert built.trust_domain == "fleet.example"
    assert [robot.labels for robot in built.robots] == [{"site": "north", "role": "work"}, {"site": "north"}]


WRONG = [
    (
        {"k8s4r_trust_domain": "Fleet"},
        'inventory: a.k8s4r_trust_domain: found "Fleet": expected 1 to 255 lower-case letters, digits, . _ -',
    ),
    ({"k8s4r_trust_domain": 7}, "inventory: a.k8s4r_trust_domain: found the value 7: expected text; quote it"),
    ({"k8s4r_trust_domain": "{{ nothing }}"}, "inventory: a.k8s4r_trust_domain: cannot be rendered: 'nothing' is undefined"),
    ({"k8s4r_trust_domain": Vaulted("Secret")}, "inventory: a.k8s4r_trust_domain: expected 1 to 255 lower-case letters, digits, . _ -"),
    (
        {"spire_agent_attestor": "x509"},
        'inventory: a.spire_agent_attestor: found "x509": expected x509pop or join_token; did you mean x509pop?',
    ),
    (
        {"artifact_download_by": "controler"},
        'inventory: a.artifact_download_by: found "controler": expected robot or controller; did you mean controller?',
    ),
    ({"k8s4r_labels": [1]}, "inventory: a.k8s4r_labels: found a list: expected a mapping of names to text"),
    ({"k8s4r_labels": {True: "x"}}, "a.k8s4r_labels: found the value true: a name must be text; quote it, as yes, no, on and off are not"),
    ({"k8s4r_labels": {"a": ["x"]}}, "inventory: a.k8s4r_labels.a: found a list: expected text"),
    (
        {"k8s4r_labels": {"gripper": None}},
        'inventory: a.k8s4r_labels.gripper: found nothing: expected text; write "" for empty text, or remove the key',
    ),
    ({"k8s4r_labels": {"fw": 1.10}}, "inventory: a.k8s4r_labels.fw: found the value 1.1: expected text; quote it"),
    ({"k8s4r_labels": {"fw": "{{ 1.5 }}"}}, "a.k8s4r_labels.fw: found the value 1.5: expected text; end the template with `| string`"),
    (
        {"k8s4r_attributes": {"fw.version": 2.0}},
        'inventory: a.k8s4r_attributes["fw.version"]: found the value 2.0: expected text; quote it',
    ),
    ({"k8s4r_labels": {"fw": 1.10, "key": Vaulted("x")}}, "inventory: a.k8s4r_labels.fw: expected text; quote it"),
    ({"k8s4r_peers": {"10.0.0.1": "spiffe://x/a"}}, 'inventory: k8s4r_peers: found "10.0.0.1": expected host:port'),
    (
        {"k8s4r_peers": {"a:1": "x"}},
        'inventory: k8s4r_peers: the value at "a:1" is not a SPIFFE ID: expected spiffe://<trust domain>/<path>',
    ),
    (
        {"k8s4r_peers": {"[::1]:5": "spiffe://t/a", "[0:0::1]:5": "spiffe://t/b"}},
        'inventory: k8s4r_peers: "[::1]:5" and "[0:0::1]:5" are one address; write it once',
    ),
    ({"k8s4r_trust_domain": None}, "inventory: a.k8s4r_trust_domain: found nothing: expected text; remove it, or write a text"),
    ({"k8s4r_lables": {}}, "inventory: a.k8s4r_lables: unknown variable; did you mean k8s4r_labels?"),
    ({"k8s4r_datacentre": "x"}, "inventory: a.k8s4r_datacentre: unknown variable; did you mean k8s4r_datacenter?"),
]


def test_of_what_is_no_text_only_what_is_written_in_one_way_is_taken_for_text():
    (robot,) = fleet({"a": {"k8s4r_labels": {"level": 3, "indoor": True, "gripper": "", "fw": "1.10"}}}).robots
    assert robot.labels == {"level": "3", "indoor": "true", "gripper": "", "fw": "1.10"}


@pytest.mark.parametrize(("variables", "words"), WRONG)
def test_a_wrong_variable_is_named_with_its_host(variables, words):
    with pytest.raises(JobErrors) as caught:
        fleet({"a": variables})
    assert words in str(caught.value)
    assert len(caught.value.errors) == 1


def test_what_a_run_keeps_for_itself_and_what_is_somebody_elses_is_no_error():
    assert fleet({"a": dict.fromkeys(("k8s4r_compiled", "k8s4r_prepared", "k8s4r_switched", "k8s4r_become", "labels"), "x")})


def with_vars(everywhere, **robots):
    """A fleet whose robots have these `k8s4r_vars`, and the group `all` what is `everywhere`; None: it has none."""
    raw = {name: {} if found is None else {"k8s4r_vars": found} for name, found in {"localhost": everywhere, **robots}.items()}
    return fleet_from_inventory({"robots": list(robots)}, raw.__getitem__, {}, rendered)


VAULTED = Vaulted("x")


@pytest.mark.parametrize(
    ("everywhere", "one"),
    [
        ({"n": 1}, {"n": 1}),
        ("{{ site }}", "{{ site }}"),
        # Ansible may have merged it, or read it twice.
        ({"a": {"b": [VAULTED, 1]}}, {"a": {"b": [VAULTED, 1]}}),
        ({"a": Vaulted("x")}, {"a": Vaulted("x")}),
        ({"n": 1}, None),
    ],
)
def test_variables_of_job_files_are_those_of_all(everywhere, one):
    assert with_vars(everywhere, a=one, b=one)


@pytest.mark.parametrize(
    ("everywhere", "one"),
    [
        (None, {"n": 2}),
        ({"n": 1}, {"n": 2}),
        ({"n": 1}, {"n": 1, "m": 1}),
        ({"n": [1]}, {"n": [1, 2]}),
        ({"n": {"m": [1]}}, {"n": {"m": [2]}}),
        ({"n": 1}, "{{ site }}"),
        ({"n": Vaulted("Secret")}, {"n": Vaulted("Other")}),
        ({"n": Vaulted("Secret")}, {"n": "x"}),
        (Vaulted("Secret"), {"n": "x"}),
    ],
)
def test_variables_of_job_files_that_are_set_elsewhere_have_no_effect_and_are_an_error(everywhere, one):
    with pytest.raises(JobErrors) as raised:
        with_vars(everywhere, a=everywhere, b=one, c=one)
    (error,) = map(str, raised.value.errors)
    assert error == (
        "inventory: k8s4r_vars: is set for b, c, and not so for the group `all`; job files are rendered once, with what `all` has; set it "
        "for the group `all`; what differs between robots can be one of their k8s4r_labels"
    )


DIFFERENT = [
    ("k8s4r_trust_domain", "a.example", "b.example", '"a.example" for a, but "b.example" for b'),
    ("k8s4r_agent_socket", "/run/a", "/run/b", '"/run/a" for a, but "/run/b" for b'),
    ("k8s4r_trust_domain", Vaulted("a.example"), "b.example", "differs between a and b"),
    ("k8s4r_peers", {"x:1": "spiffe://t/a"}, {"x:1": "spiffe://t/b"}, "differs between a and b"),
]


@pytest.mark.parametrize(("name", "one", "other", "words"), DIFFERENT)
def test_a_setting_of_the_whole_fleet_has_one_value(name, one, other, words):
    with pytest.raises(JobErrors) as caught:
        fleet({"a": {name: one}, "b": {name: other}, "c": {name: other}})
    assert f"inventory: {name}: {words}; an inventory has one fleet" in str(caught.value)
    assert len(caught.value.errors) == 1


def test_values_that_are_written_apart_but_equal_agree():
    assert fleet({"a": {"k8s4r_trust_domain": "north.example"}, "b": {"k8s4r_trust_domain": "{{ site }}.example"}}).trust_domain


def test_there_is_one_machine_for_the_server():
    with pytest.raises(JobErrors, match="inventory: spire_server: the group has hub1, hub2; it takes one machine, which runs the SPIRE"):
        fleet({"a": {}}, {"spire_server": ["hub2", "hub1"]})
