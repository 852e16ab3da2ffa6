# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call an inbound service: a network RBAC filter, with its rules in a file of its own (ECDS).

A change of the rules drains no listener. From the next connection on, a new peer gets in and a removed one is refused.
"""

from __future__ import annotations

import typing as t

from .tls import TYPE, Data, from_file, typed

_RBAC = "extensions.filters.network.rbac.v3.RBAC"


def discovered(name: str, path: str) -> Data:
    """The filter, with rules that Envoy reads from the file `path` and watches."""
    return {"name": name, "config_discovery": {"config_source": from_file(path), "type_urls": [TYPE + _RBAC]}}


def inline(name: str, peers: t.Sequence[str]) -> Data:
    """The filter with its rules in it, for validation."""
    return {"name": name, "typed_config": _rules(name, peers)}


def resource(name: str, peers: t.Sequence[str]) -> Data:
    """The content of the file with the rules."""
    return {**typed("config.core.v3.TypedExtensionConfig"), "name": name, "typed_config": _rules(name, peers)}


def _rules(name: str, peers: t.Sequence[str]) -> Data:
    """Exactly these SPIFFE IDs are allowed. Without any, there is no policy, and Envoy refuses everyone."""
    principals = [{"authenticated": {"principal_name": {"exact": peer}}} for peer in sorted(peers)]
    policies = {"allowed": {"permissions": [{"any": True}], "principals": principals}} if principals else {}
    return typed(_RBAC, stat_prefix=f"{name}.", rules={"action": "ALLOW", "policies": policies})
