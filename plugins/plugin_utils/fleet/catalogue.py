# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet catalogue: robots and fleet-wide settings from raw inventory variables, read once per run."""

from __future__ import annotations

import re
import typing as t

from ..job.addresses import plain_port
from ..job.errors import JobErrors, Problem, quoted
from .robots import ASSUMED_CAPABILITIES, DEFAULT_AGENT_SOCKET, Fleet, Robot

GROUP = "robots"
# What decides, beside the address, which machine Ansible reaches.
WAY = ("ansible_port", "ansible_connection", "ansible_ssh_common_args", "ansible_ssh_extra_args")
# A robot's name is a part of its identity, and of paths: no slash, no space, nothing that a path gives a meaning.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,199}")

Variables = t.Mapping[str, t.Any]


def fleet_from_inventory(
    groups: t.Mapping[str, t.Sequence[str]],
    raw_variables: t.Callable[[str], Variables],
    capabilities: t.Mapping[str, t.Mapping[str, str]],
    render: t.Callable[[str, t.Any], t.Any] = lambda _host, value: value,
) -> Fleet:
    """Build the `Fleet` of the whole inventory group `robots`, whatever the run is limited to.

    `raw_variables(host)` returns a host's untemplated variables. `render(host, value)` templates one value. It is called only
    for values that contain a template, because templating takes most of the time with a thousand robots. `capabilities` are
    what each host reported when it was probed. Raises `JobErrors` with all values of a wrong type.
    """
    names = sorted(groups.get(GROUP, ()))
    errors: list[Problem] = []
    robots = []
    settings: Variables = {}
    for name in names:
        if not NAME.fullmatch(name):
            allowed = "a name begins with a letter, a digit or _, and has only letters, digits and . _ : - after that"
            errors.append(Problem("inventory", f"{quoted(name)} cannot be the name of a robot", allowed))
        variables = raw_variables(name)
        settings = settings or variables
        robots.append(_robot(name, _Reader(name, variables, render, errors), capabilities.get(name, {})))
    fleet = _Reader(names[0] if names else "", settings, render, errors)
    built = Fleet(
        robots=tuple(robots),
        trust_domain=fleet.text("k8s4r_trust_domain", ""),
        agent_socket=fleet.text("k8s4r_agent_socket", DEFAULT_AGENT_SOCKET),
        peers={plain_port(address): peer for address, peer in fleet.mapping("k8s4r_peers").items()},
        skip_init_tasks=frozenset(fleet.names("k8s4r_skip_init_tasks")),
    )
    if errors:
        raise JobErrors(errors)
    return built


def _robot(name: str, variables: _Reader, probed: t.Mapping[str, str]) -> Robot:
    address = variables.text("ansible_host", name)
    return Robot(
        name=name,
        address=address,
        labels=variables.mapping("k8s4r_labels"),
        datacenter=variables.text("k8s4r_datacenter", "dc1"),
        node_class=variables.text("k8s4r_class", ""),
        capabilities={**ASSUMED_CAPABILITIES, **probed, **variables.mapping("k8s4r_attributes")},
        attestor=variables.text("spire_agent_attestor", "x509pop"),
        way=(address, *(str(variables.raw(variable)) for variable in WAY)),
    )


def names_of_one_machine(fleet: Fleet) -> list[str]:
    """A warning for each address that several robots have: as one machine they would undo each other's deployments."""
    names: dict[tuple[str, ...], list[str]] = {}
    for robot in fleet.robots:
        names.setdefault(robot.way, []).append(robot.name)
    return [
        f"inventory: {', '.join(same[:3])}{f' and {len(same) - 3} more' if len(same) > 3 else ''} have one address, {way[0]}: "
        "if they are one machine, each of them undoes what was deployed to the others; give a machine one name"
        for way, same in names.items()
        if len(same) > 1 and way
    ]


class _Reader:
    """Reads one host's variables with their types. A wrong type is added to `errors`, with the host and the variable."""

    def __init__(self, host: str, variables: Variables, render: t.Callable[[str, t.Any], t.Any], errors: list[Problem]):
        self.host, self.variables, self.render, self.errors = host, variables, render, errors

    def _value(self, name: str, default: t.Any) -> t.Any:
        value = self.variables.get(name, default)
        return self.render(self.host, value) if _templated(value) else value

    def raw(self, name: str) -> t.Any:
        """A variable as it stands in the inventory; the empty text where it is not there."""
        return self.variables.get(name, "")

    def _wrong(self, name: str, value: t.Any, wanted: str) -> None:
        self.errors.append(Problem("inventory", f"{value!r} is not {wanted}", path=f"{self.host}.{name}"))

    def text(self, name: str, default: str) -> str:
        value = self._value(name, default)
        if isinstance(value, str):
            return str(value)
        self._wrong(name, value, "text")
        return default

    def mapping(self, name: str) -> dict[str, str]:
        value = self._value(name, None) or {}
        if not isinstance(value, t.Mapping):
            self._wrong(name, value, "a mapping of names to text")
            return {}
        return {str(label): _plain(content) for label, content in value.items()}

    def names(self, name: str) -> list[str]:
        value = self._value(name, None) or []
        if isinstance(value, str) or not isinstance(value, t.Sequence):
            self._wrong(name, value, "a list of names")
            return []
        return [str(item) for item in value]


def _templated(value: t.Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, t.Mapping):
        return any(_templated(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_templated(item) for item in value)


def _plain(value: t.Any) -> str:
    """A label's value as text, as it looks in the inventory: YAML's true is `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
