# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstreams at services in Consul: on the robot, a consul-template renders their endpoints as Envoy reads them."""

from __future__ import annotations

import json

from ....module_utils._engine import plan
from ...envoy import endpoints
from ...envoy.address import Address
from ..site.site import Site
from ..units.brings.watch import Text, Watch, watch

# What stands for the values of an instance, until these are put in as expressions.
_ADDRESS, _PORT = "@address", 65535
_EACH = ("{{range $i, $instance := service %s}}{{if $i}},{{end}}", "{{end}}")


def file(site: Site, service: str) -> str:
    """The file with the endpoints of a service."""
    return f"{_directory(site)}/{service}.json"


def compiled(site: Site) -> Watch:
    """What renders the endpoints for the proxy of a group or of a pod; nothing where no upstream asks Consul."""
    asked: dict[str, str] = {}
    for number, upstream in enumerate(site.network.upstreams if site.network else ()):
        if upstream.consul:
            asked.setdefault(upstream.consul, f"{site.path}.network.upstreams[{number}].consul")
    if not asked:
        return Watch()
    home = f"{site.proxy_home}/consul"
    texts = [Text(f"{home}-{service}.tmpl", file(site, service), "0644") for service in asked]
    sources = [plan.file(text.source, _template(service)) for text, service in zip(texts, asked, strict=True)]
    results = plan.directory(_directory(site), "root", site.proxy_user, "0750", data=True)
    called = f"proxy r{site.pod.instance}" if site.pod else "proxy"
    found = watch(site, _id(site), called, home, results, texts, next(iter(asked.values())), "upstreams")
    return found._replace(resources=(*sources, *found.resources))


def _id(site: Site) -> str:
    return site.pod.id if site.pod else site.id


def _directory(site: Site) -> str:
    # Not below the group's data: the proxy's user cannot enter that.
    return f"{plan.STATE}/groups/{_id(site)}-consul"


def _template(service: str) -> str:
    """JSON as Envoy reads it, with a member for each instance that Consul has for healthy."""
    (one,) = (json.dumps(each) for each in endpoints.resource(service, [(Address(_ADDRESS, _PORT),)])["endpoints"][0]["lb_endpoints"])
    one = one.replace(json.dumps(_ADDRESS), "{{.Address | toJSON}}").replace(str(_PORT), "{{.Port}}")
    mark = "@instances"
    whole = {"resources": [{**endpoints.resource(service, ()), "endpoints": [{"lb_endpoints": [mark]}]}]}
    begin, end = _EACH
    return json.dumps(whole).replace(json.dumps(mark), f"{begin % json.dumps(service)}{one}{end}") + "\n"
