# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that a template can call: those of Go's text/template, and those of consul-template that need nothing but their
arguments. All others are refused, each with the way out.
"""

from __future__ import annotations

import typing as t

from ...job.errors import did_you_mean
from ..faults import Fault
from . import arithmetic, basics, data, texts

# They look services up.
SERVICES = ("nomadService", "service")
# These read the task's variables, do not evaluate all of their arguments, or know what a run knows: `evaluator.py` has them.
SPECIAL = ("env", "envOrDefault", "mustEnv", "and", "or", *SERVICES)
# What takes an instance of a service, or a list of them, as a whole.
WHOLE = frozenset(("index", "len", "not", "slice"))

FUNCTIONS: t.Mapping[str, t.Callable[..., t.Any]] = {**basics.FUNCTIONS, **texts.FUNCTIONS, **data.FUNCTIONS, **arithmetic.FUNCTIONS}

_ELSEWHERE = "give it in env of the task, or as an Ansible variable of the robot in a template written in Jinja"
_BY_NAME = "look up each service by its name"
_PROXY = 'use network.upstreams, whose addresses the task finds in its environment: {{ env "PROXY_<NAME>_ADDR" }}'
_NEEDS: t.Mapping[str, tuple[tuple[str, ...], str]] = {
    "Consul": (
        (
            "byKey", "byMeta", "byPort", "byTag", "caLeaf", "caRoots", "connect", "datacenters", "explode", "exportedServices", "key",
            "keyExists", "keyOrDefault", "ls", "node", "nodes", "partitions", "peerings", "safeLs", "safeTree", "services", "tree",
        ),
        _ELSEWHERE,
    ),
    "Vault": (("pkiCert", "secret", "secrets"), _ELSEWHERE),
    "Nomad": (
        (
            "nomadServices", "nomadVar", "nomadVarExists", "nomadVarList", "nomadVarListSafe",
        ),
        _ELSEWHERE,
    ),
    "a file": (("file", "writeToFile"), "put the text into the template, or render it with Jinja"),
    "a program": (("plugin",), "run it on the controller and give its output as an Ansible variable"),
    "the time": (("timestamp",), "a rendered file must be the same until something changes; let the program ask for the time"),
    "the robot's addresses": (("sockaddr",), "use a variable of the robot, in a template written in Jinja"),
    "": (
        (
            "call", "executeTemplate", "mergeMap", "mergeMapWithOverride", "scratch", "spew_dump", "spew_printf", "spew_sdump",
            "parseYAML", "spew_sprintf", "toTOML", "toYAML",
        ),
        "write it in another way",
    ),
}  # fmt: skip
_REMEDIES = {"connect": _PROXY, "nomadServices": _BY_NAME, "services": _BY_NAME}
# What only Consul can answer.
OF_CONSUL = frozenset(_NEEDS["Consul"][0])
# What a real consul-template does beyond them, and reads and starts nothing for it.
_MORE = (*_NEEDS[""][0], *_NEEDS["the time"][0])
REFUSED: t.Mapping[str, tuple[str, str]] = {name: (what, remedy) for what, (names, remedy) in _NEEDS.items() for name in names}


def known(name: str, line: int, watched: bool = False) -> None:
    """Raises `Fault` for a function that does not exist, or that needs what a robot does not have. `watched`: for a text that a real
    consul-template renders.
    """
    if watched and name == "nomadService":
        remedy = "use service for what is in Consul, or a template of its own"
        raise Fault(line, "nomadService does not ask Consul, and this text is rendered from Consul alone", remedy)
    if name in FUNCTIONS or name in SPECIAL or (watched and (name in OF_CONSUL or name in _MORE or name.startswith("sprig_"))):
        return
    if name.startswith("sprig_"):
        raise Fault(line, f"{name} is not supported, because it is one of Sprig's functions", "write it in another way, or in Jinja")
    if name in REFUSED:
        what, remedy = REFUSED[name]
        message = f"{name} needs {what}, which is not available here" if what else f"{name} is not supported"
        raise Fault(line, message, _REMEDIES.get(name, remedy))
    raise Fault(line, f"there is no function {name}", did_you_mean(name, (*FUNCTIONS, *SPECIAL)))
