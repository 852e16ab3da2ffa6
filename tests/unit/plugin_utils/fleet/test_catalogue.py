# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as the inventory has it: names that can be a robot's, and machines with more than one."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import names
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.catalogue import (
    addresses_of_several,
    fleet_from_inventory,
    names_of_one_machine,
)
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors


def fleet_of(robots):
    return fleet_from_inventory({"robots": list(robots)}, lambda name: robots[name], {})


@pytest.mark.parametrize("name", ["r/../x", "../x", "a b", "", "-x", ".", "..", "a\nb", "r\x1b[2J", "x" * 201, "r/x", "r%2fx"])
def test_what_cannot_be_a_robots_name_is_refused_with_what_can(name):
    with pytest.raises(JobErrors) as errors:
        fleet_of({name: {}, "arm1": {}})
    (error,) = map(str, errors.value.errors)
    assert "cannot be the name of a robot; a name begins with" in error
    assert error.isprintable()


@pytest.mark.parametrize("name", ["arm1", "Arm-1.site_2", "192.0.2.10", "2001:db8::1", "_x"])
def test_what_can_be_a_robots_name(name):
    assert fleet_of({name: {}}).robot(name).name == name


@pytest.mark.parametrize("name", ["2001:db8::1", "x" * 65, "x" * 200])
def test_a_name_that_no_agent_can_have_is_refused_where_robots_have_agents(name):
    assert fleet_of({name: {}}).robot(name).name == name
    domain = {"k8s4r_trust_domain": "fleet.example"}
    with pytest.raises(JobErrors) as errors:
        fleet_of({name: domain, "arm1": domain})
    (error,) = map(str, errors.value.errors)
    assert error.startswith(f'inventory: robots: "{name[:60]}')
    assert "cannot be the name of a robot with a SPIRE agent, where it becomes part of the agent's ID; " in error
    assert error.endswith(f"such a name has {names.ALLOWED}; an address can be its ansible_host")


@pytest.mark.parametrize("name", ["arm1", "Arm-1.site_2", "192.0.2.10", "_x", "x" * 64])
def test_what_an_agent_can_be_called_a_robot_can_be(name):
    assert re.fullmatch(names.AGENT, name)
    assert fleet_of({name: {"k8s4r_trust_domain": "fleet.example"}}).robot(name).name == name


@pytest.mark.parametrize("name", ["r/x", "a b", "", "-x", ".", "..", "a\nb"])
def test_what_no_robot_can_be_called_no_agent_can_be(name):
    assert not re.fullmatch(names.AGENT, name)


def test_the_role_of_the_agent_has_the_same_rule():
    """It is looked at again there: a play of somebody else's may have the role alone."""
    path = pathlib.Path(__file__).parents[4] / "roles/spire_agent/tasks/preflight.yml"
    (check,) = [each for each in yaml.safe_load(path.read_text())[0]["loop"] if "inventory_hostname" in each["that"]]
    assert check["that"] == f"inventory_hostname is match('^{names.AGENT}$')"
    assert check["otherwise"].endswith(f" has {names.ALLOWED}")


def test_names_of_one_machine_are_told():
    one = {"ansible_host": "192.0.2.10"}
    (warning,) = names_of_one_machine(fleet_of({"arm1": one, "arm2": one, "base": {"ansible_host": "192.0.2.11"}}))
    assert warning.startswith("inventory: arm1, arm2 have the same address, 192.0.2.10: if they are one machine")
    (warning,) = names_of_one_machine(fleet_of({f"arm{number}": one for number in range(9)}))
    assert "arm0, arm1, arm2 and 6 more have the same address" in warning


@pytest.mark.parametrize(
    "other",
    [
        {"ansible_host": "192.0.2.11"},
        {"ansible_host": "192.0.2.10", "ansible_port": 2222},
        # Two sites with the same private addresses.
        {"ansible_host": "192.0.2.10", "ansible_ssh_common_args": "-J gateway2"},
    ],
)
def test_other_machines_are_not(other):
    assert names_of_one_machine(fleet_of({"arm1": {"ansible_host": "192.0.2.10"}, "arm2": other})) == []


@pytest.mark.parametrize("value", ["192.0.2.2", ["192.0.2.2", "2001:DB8:0::2"], "169.254.7.1", "::ffff:192.0.2.2"])
def test_where_other_robots_reach_a_robot(value):
    expected = {"192.0.2.2": ("192.0.2.2",), "169.254.7.1": ("169.254.7.1",), "::ffff:192.0.2.2": ("192.0.2.2",)}
    found = fleet_of({"arm1": {"k8s4r_address": value}}).robot("arm1").reached_at
    assert found == (expected[value] if isinstance(value, str) else ("192.0.2.2", "2001:db8::2"))


@pytest.mark.parametrize("value", ["12345::1", "1:2", ":::", "arm1.example", "192.0.2", "192.0.2.300", "", "192.0.2.1/24", "[::1]"])
def test_what_is_no_address_is_refused(value):
    (error,) = refusal_of_address(value)
    assert error == f'inventory: arm1.k8s4r_address: found "{value}": expected an IP address, or a list of them'
    (error,) = refusal_of_address(["192.0.2.2", value])
    assert error == f'inventory: arm1.k8s4r_address[1]: found "{value}": expected an IP address, or a list of them'


@pytest.mark.parametrize(
    ("value", "why"),
    [
        *((each, "there, each of them reaches itself") for each in ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1")),
        *((each, "this one is of a single link, and they may have several") for each in ("fe80::1", "fe80::1%eth0", "2001:db8::1%eth0")),
    ],
)
def test_an_address_at_which_no_other_robot_reaches_it_is_refused(value, why):
    (error,) = refusal_of_address(value)
    assert error.startswith(f'inventory: arm1.k8s4r_address: found "{value}": expected an address at which other robots reach this one; ')
    assert error.endswith(why)


def test_every_wrong_address_is_told_and_none_from_a_vault():
    assert len(refusal_of_address(["::1", "192.0.2.2", "1:2"])) == 2
    vaulted = object()
    for raw, value in ((vaulted, "1:2"), (["192.0.2.2", vaulted], ["192.0.2.2", "1:2"])):
        with pytest.raises(JobErrors) as errors:
            fleet_from_inventory({"robots": ["arm1"]}, lambda _name, raw=raw: {"k8s4r_address": raw}, {}, lambda _host, _raw, to=value: to)
        (error,) = map(str, errors.value.errors)
        assert error.endswith(": expected an IP address, or a list of them")
        assert "1:2" not in error


def refusal_of_address(value):
    with pytest.raises(JobErrors) as errors:
        fleet_of({"arm1": {"k8s4r_address": value}})
    return list(map(str, errors.value.errors))


def test_robots_with_one_address_for_others_are_told():
    robots = {
        "arm1": {"ansible_host": "192.0.2.1", "k8s4r_address": ["192.0.2.9", "2001:db8:0::9"]},
        "arm2": {"ansible_host": "192.0.2.2", "k8s4r_address": "2001:db8::9"},
        "arm3": {"ansible_host": "192.0.2.3", "k8s4r_address": "192.0.2.3"},
        # One machine, which another warning tells.
        "arm4": {"ansible_host": "192.0.2.3", "k8s4r_address": "192.0.2.3"},
    }
    (warning,) = addresses_of_several(fleet_of(robots))
    assert warning == (
        "inventory: arm1, arm2 have the same k8s4r_address, 2001:db8::9: who calls a service of one of them may reach another; give "
        "each robot its own"
    )


def test_a_robots_pods_have_a_network_of_their_own():
    assert fleet_of({"arm1": {}}).robot("arm1").pods == "172.26.64.0/20"
    assert fleet_of({"arm1": {"k8s4r_pod_cidr": "10.9.0.0/24"}}).robot("arm1").pods == "10.9.0.0/24"


def test_pods_have_ipv6_where_the_inventory_says_so():
    robots = {"arm1": {}, "arm2": {"k8s4r_pod_cidr6": "FD4B:9a12:7c30:0::/64"}, "arm3": {"k8s4r_pod_cidr6": ""}}
    assert [robot.pods6 for robot in fleet_of(robots).robots] == ["", "fd4b:9a12:7c30::/64", ""]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.9.0.0/24", "expected a network of IPv6 addresses"),
        ("fd00::1/64", "expected a network of IPv6 addresses: fd00::1/64 has host bits set"),
        ("fd00::/97", "expected a network of /16 to /96; such as fd4b:9a12:7c30::/64"),
        ("fe80::/64", "expected a network in fc00::/7 or 2000::/3; such as fd4b:9a12:7c30::/64"),
        (["fd00::/64"], "expected text"),
    ],
)
def test_a_network_of_ipv6_that_pods_cannot_have_is_refused(value, said):
    with pytest.raises(JobErrors) as errors:
        fleet_of({"arm1": {"k8s4r_pod_cidr6": value}})
    (error,) = map(str, errors.value.errors)
    assert error.startswith("inventory: arm1.k8s4r_pod_cidr6: ")
    assert said in error


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.9.0.1/24", "expected a network of IPv4 addresses: 10.9.0.1/24 has host bits set"),
        ("fd00::/64", "that of IPv6 is k8s4r_pod_cidr6"),
        ("10.9.0.0/30", "expected a network of /8 to /29"),
        *((network, "these addresses mean something else") for network in ("127.0.0.0/8", "224.0.0.0/20", "0.0.0.0/8", "255.255.240.0/20")),
        (["10.9.0.0/24"], "expected text"),
    ],
)
def test_a_network_that_pods_cannot_have_is_refused(value, said):
    with pytest.raises(JobErrors) as errors:
        fleet_of({"arm1": {"k8s4r_pod_cidr": value}})
    (error,) = map(str, errors.value.errors)
    assert error.startswith("inventory: arm1.k8s4r_pod_cidr: ")
    assert said in error


def test_a_robot_may_have_a_dns_server_of_its_own():
    def dns(**variables):
        robot = fleet_of({"arm1": {f"k8s4r_{name}": value for name, value in variables.items()}}).robot("arm1")
        return robot.dns, robot.dns_loopback

    assert dns() == ("", False)
    assert dns(dns=True) == dns(dns="True") == ("k8s4r.internal", False)
    assert dns(dns=True, dns_loopback=True, dns_domain="robots.example") == ("robots.example", True)
    assert dns(dns="false", dns_domain="robots.example") == ("", False)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"k8s4r_dns": "on"}, 'arm1.k8s4r_dns: found "on": expected true or false'),
        ({"k8s4r_dns": True, "k8s4r_dns_domain": "Robots"}, 'k8s4r_dns_domain: found "Robots": expected a domain'),
        ({"k8s4r_dns_loopback": True}, "there is no DNS server that could answer at 127.0.0.153; set k8s4r_dns: true, too"),
        ({"k8s4r_dns_loopbak": True}, "did you mean k8s4r_dns_loopback?"),
    ],
)
def test_a_dns_server_that_cannot_be_is_refused(variables, said):
    with pytest.raises(JobErrors) as errors:
        fleet_of({"arm1": variables})
    (error,) = map(str, errors.value.errors)
    assert said in error


def test_all_robots_have_the_same_domain():
    with pytest.raises(JobErrors) as errors:
        fleet_of({"arm1": {"k8s4r_dns_domain": "a"}, "arm2": {"k8s4r_dns_domain": "b"}})
    (error,) = map(str, errors.value.errors)
    assert 'k8s4r_dns_domain: "a" for arm1, but "b" for arm2' in error


def test_no_robot_sets_by_a_fact_what_is_the_inventorys():
    """A fact outranks it."""
    robots = {
        "work1": {"ansible_facts": {"k8s4r_labels": {"role": "vault"}, "spire_agent_attestor": "x", "hostname": "work1"}},
        "work2": {},
    }
    with pytest.raises(JobErrors) as refused:
        fleet_of(robots)
    wrong = [(problem.path, problem.message) for problem in refused.value.errors]
    said = "is among the facts that the robot reports, which may be anything"
    assert wrong == [("work1.k8s4r_labels", said), ("work1.spire_agent_attestor", said)]
