# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call an inbound service: RBAC filters, with their rules in files of their own (ECDS).

A change of the rules drains no listener. Of a connection, the caller is looked at when it is opened; of HTTP, with each request, since
connections between proxies are kept and shared. So a new peer gets in, and a removed one is refused, from the next of these on.
"""

from __future__ import annotations

import enum
import typing as t

from .tls import TYPE, Data, from_file, typed


class Of(enum.Enum):
    """What is looked at, and the filter that does."""

    CONNECTIONS = "network"
    REQUESTS = "http"

    @property
    def type(self) -> str:
        """Of the filter's configuration, without `envoy.` in front."""
        return f"extensions.filters.{self.value}.rbac.v3.RBAC"


def discovered(name: str, path: str, of: Of) -> Data:
    """The filter, with rules that Envoy reads from the file `path` and watches."""
    return {"name": _called(name, of), "config_discovery": {"config_source": from_file(path), "type_urls": [TYPE + of.type]}}


def inline(name: str, peers: t.Sequence[str], of: Of) -> Data:
    """The filter with its rules in it, for validation."""
    return {"name": _called(name, of), "typed_config": _rules(name, peers, of)}


def resource(name: str, peers: t.Sequence[str], of: Of) -> Data:
    """The content of the file with the rules."""
    return {**typed("config.core.v3.TypedExtensionConfig"), "name": _called(name, of), "typed_config": _rules(name, peers, of)}


def _called(name: str, of: Of) -> str:
    # In front: another service may be called as this one with a word behind it.
    return name if of is Of.CONNECTIONS else f"requests-{name}"


def _rules(name: str, peers: t.Sequence[str], of: Of) -> Data:
    """Exactly these SPIFFE IDs are allowed. Without any, there is no policy, and Envoy refuses everyone."""
    principals = [{"authenticated": {"principal_name": {"exact": peer}}} for peer in sorted(peers)]
    policies = {"allowed": {"permissions": [{"any": True}], "principals": principals}} if principals else {}
    prefix = {"stat_prefix": f"{name}."} if of is Of.CONNECTIONS else {}
    return typed(of.type, rules={"action": "ALLOW", "policies": policies}, **prefix)
