# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of tasks as templates look them up: which instances, at which address and port, and which names and ports there are not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.peers import known_services
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.rendering import InConsul, Unfound
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.site import sites_of
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader

HERE = Robot("r1", "192.0.2.1")
THERE = Robot("r2", "192.0.2.2", addresses=("2001:db8::2", "198.51.100.2"), datacenter="lab")
NAMED = Robot("r3", "r3.example.org")
TASK = "config: {execConfig: {command: app}}"
SHOP = """
name: shop
type: system
taskGroups:
  - name: api
    network: {ports: [%s], %s}
    tasks: [{name: app, services: [{name: api, portLabel: %s, tags: [fast]}], config: {execConfig: {command: app}}}]
"""
CALLER = f"{{name: front, type: system, taskGroups: [{{name: web, network: {{%s}}, tasks: [{{name: app, %s {TASK}}}]}}]}}"
TEMPLATE = 'templates: [{destPath: local/a, embeddedTmpl: "x"%s}],'


def shop(port: str = "{label: http, static: 8080}", label: str = "http", more: str = "") -> str:
    return SHOP % (port, more, label)


def jobs_of(*texts: str) -> list[t.Any]:
    return reader.load([reader.Source(f"job{number}.yml", text) for number, text in enumerate(texts)])[0]


def looked_up(
    *texts: str, name: str = "api", robots: tuple[Robot, ...] = (HERE, THERE), named: t.Any = None, calls: str = ""
) -> list[dict[str, t.Any]]:
    """What a task on the first robot finds."""
    jobs, fleet = jobs_of(CALLER % (calls, ""), *texts), Fleet(robots, "fleet.example")
    placement = place(jobs, fleet)
    known = known_services(jobs, fleet, placement, named or (lambda _robot: {}))
    (site,) = [site for site in sites_of(jobs, fleet, placement, robots[0]) if site.job.name == "front"]
    return [dict(each) for each in known.offered(site, name).instances]


def places(*texts: str, **more: t.Any) -> list[str]:
    return [f"{each['Node']} {each['Address']} {each['Port']}" for each in looked_up(*texts, **more)]


def refused(*texts: str, **more: t.Any) -> str:
    with pytest.raises(Unfound) as raised:
        looked_up(*texts, **more)
    return f"{raised.value}; {raised.value.remedy}"


def test_every_instance_by_an_address_that_other_robots_reach():
    assert places(shop()) == ["r1 192.0.2.1 8080", "r2 198.51.100.2 8080"]
    assert places(shop("{label: http, static: 8080, hostIP: 203.0.113.9}")) == ["r1 203.0.113.9 8080", "r2 203.0.113.9 8080"]


def test_an_instance_by_nomads_names():
    there = looked_up(shop())[1]
    assert set(there) == {"Address", "AllocID", "Datacenter", "ID", "JobID", "Name", "Node", "Port", "Tags"}
    assert (there["Name"], there["Node"], there["Datacenter"], there["JobID"], there["Tags"]) == ("api", "r2", "lab", "shop", ["fast"])
    assert there["ID"] == f"_nomad-task-{there['AllocID']}-app-api-http"


def test_ports_that_are_chosen_are_those_of_each_robot_and_those_that_it_has_named():
    jobs, fleet = jobs_of(shop()), Fleet((HERE,))
    (gid,) = [site.id for site in sites_of(jobs, fleet, place(jobs, fleet), HERE)]
    chosen = shop("{label: http}")
    first, second = places(chosen)
    assert first.split()[2] != second.split()[2]
    assert places(chosen, named=lambda robot: {gid: {"r0 http": 20123}} if robot == "r2" else {}) == [first, "r2 198.51.100.2 20123"]


def test_services_of_one_name_are_found_together_in_their_own_namespace_alone():
    other = shop().replace("name: shop", "name: more")
    foreign = shop().replace("name: shop", "name: shop\nnamespace: lab")
    assert [each["JobID"] for each in looked_up(shop(), other.replace("8080", "8081"), foreign.replace("8080", "8082"))] == [
        "more", "more", "shop", "shop",
    ]  # fmt: skip
    assert "there is no" not in refused(foreign)
    assert "the run's tasks have none in this namespace" in refused(foreign)


def test_a_port_at_the_loopback_is_found_on_its_own_robot_alone():
    local = shop("{label: http, static: 8080, hostIP: 127.0.0.1}")
    assert places(local) == ["r1 127.0.0.1 8080"]
    assert "listens on the loopback of r1, r2, which cannot be reached from here; remove the hostIP" in refused(local, calls="mode: group")


def test_a_pod_has_ipv4_alone():
    only_new = THERE._replace(addresses=("2001:db8::2",))
    assert places(shop(), robots=(HERE, only_new)) == ["r1 192.0.2.1 8080", "r2 2001:db8::2 8080"]
    assert places(shop(), robots=(HERE, only_new), calls="mode: group") == ["r1 192.0.2.1 8080"]


def test_a_robot_of_which_only_a_name_is_known_has_no_address_for_others():
    assert places(shop(), robots=(NAMED,)) == ["r3 127.0.0.1 8080"]
    said = 'the service "api" runs on r3, for which the inventory has no IP address that other robots reach; set k8s4r_address'
    for address in (NAMED.address, "127.0.0.1", "::1", "0.0.0.0"):
        assert said in refused(shop(), robots=(HERE, NAMED._replace(address=address)))


def test_a_robot_at_the_end_of_a_tunnel_finds_itself_and_its_pods_do_not_look_in_their_own_loopback():
    tunnel = Robot("r1", "127.0.0.1")
    assert places(shop(), robots=(tunnel,)) == ["r1 127.0.0.1 8080"]
    assert "runs on r1, for which the inventory has no IP address" in refused(shop(), robots=(tunnel,), calls="mode: group")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("apy", shop(), 'no task of this run has the service "apy", nor has one that robots run; did you mean api?'),
        ("broker", shop(), "there are: api; if another job has it, deploy that first, or both together: -e job=<this file>,<the other"),
        ("api", shop(label="'8080'"), 'has the portLabel "8080", which is a port of its robot\'s loopback; add the port to network.ports'),
        ("api", shop(label="other"), 'has the portLabel "other", which is no port of the group; add the port to network.ports'),
        (
            "api",
            shop(label="https", more="services: [{name: https, port: 7000, to: http, allow: [{job: front, group: web}]}]"),
            "which is behind a proxy that admits only other proxies; call it by network.upstreams, with service: shop/api/https",
        ),
        (
            "https",
            shop(more="services: [{name: https, port: 7000, to: http, allow: [{job: front, group: web}]}]"),
            'shop/api/https is an inbound service, behind a proxy; call it by network.upstreams, with service: shop/api/https',
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up(name, text, said):
    assert said in refused(text, name=name)


def test_what_is_in_consul_is_told_from_what_is_nowhere():
    there = shop().replace("tags:", "provider: consul, tags:")
    with pytest.raises(InConsul):
        looked_up(there)
    with pytest.raises(Unfound) as raised:
        looked_up(there, name="other")
    assert not isinstance(raised.value, InConsul)


def test_the_file_of_a_template_follows_what_it_has_looked_up():
    """But not with `env: true`, whose variables no turn holds."""

    def files(more: str) -> list[dict[str, t.Any]]:
        jobs, fleet = jobs_of(CALLER % ("", TEMPLATE % more), shop()), Fleet((HERE, THERE), "fleet.example")
        placement = place(jobs, fleet)

        def render(_site: t.Any, _template: t.Any, _environment: t.Any, services: t.Any) -> str:
            return "A=" + ",".join(each["Address"] for each in services("api").instances)

        found = compile_robot(jobs, fleet, placement, "r1", known_services(jobs, fleet, placement), {}, t.cast("t.Any", render)).plan
        groups = [group for job in found["jobs"] for group in job["groups"] if group["name"] == "default/front/web"]
        return [each for group in groups for each in group["resources"] if each.get("label", "").startswith("template ")]

    (file,) = files("")
    assert (file["content"], file["follows"]) == ("A=192.0.2.1,198.51.100.2", "default/shop/api/api")
    assert file["knows"] == ["192.0.2.1", "198.51.100.2"]
    (file,) = files(", env: true")
    assert not {"follows", "knows"} & file.keys()
