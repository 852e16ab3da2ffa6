# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upstreams at services in Consul: on the robot, a consul-template renders their endpoints as Envoy reads them."""

from __future__ import annotations

import json
import typing as t

from ....module_utils._engine import plan
from ...envoy import endpoints
from ...envoy.address import Address
from ..site.site import Site
from ..units.brings.watch import Order, Text, Watch, watch

# What stands in data for what consul-template puts there.
_ADDRESS, _PORT, _INSTANCES = "@address", 65535, "@instances"


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
    order = Order(
        id=_id(site),
        called=f"proxy r{site.pod.instance}" if site.pod else "proxy",
        home=home,
        results=plan.directory(_directory(site), "root", site.proxy_user, "0750", data=True),
        texts=texts,
        asks="upstreams",
        path=next(iter(asked.values())),
    )
    found = watch(site, order)
    return found._replace(resources=(*sources, *found.resources))


def _id(site: Site) -> str:
    return site.pod.id if site.pod else site.id


def _directory(site: Site) -> str:
    # Not below the group's data: the proxy's user cannot enter that.
    return f"{plan.STATE}/groups/{_id(site)}-consul"


def _template(service: str) -> str:
    """JSON as Envoy reads it, with a member for each instance that Consul has for healthy."""
    (one,) = endpoints.resource(service, [(Address(_ADDRESS, _PORT),)])["endpoints"][0]["lb_endpoints"]
    instance = _dumped(one, {_ADDRESS: "{{.Address | toJSON}}", _PORT: "{{.Port}}"})
    each = f"{{{{range $i, $instance := service {json.dumps(service)}}}}}{{{{if $i}}}},{{{{end}}}}{instance}{{{{end}}}}"
    whole = {"resources": [{**endpoints.resource(service, ()), "endpoints": [{"lb_endpoints": [_INSTANCES]}]}]}
    return _dumped(whole, {_INSTANCES: each}) + "\n"


def _dumped(data: t.Any, expressions: t.Mapping[str | int, str]) -> str:
    """Data as JSON, with expressions of consul-template where values stand for them."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dumped(value, expressions)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(_dumped(value, expressions) for value in data) + "]"
    return expressions.get(data) or json.dumps(data)
