# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet catalogue: robots and fleet-wide settings from raw inventory variables, read once per run."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
import typing as t

from ...module_utils._provision import names as agent_names
from ..job.addresses import plain, plain_port
from ..job.errors import JobErrors, Mistake, Problem, few, quoted
from ..job.model.vocabulary import HOST_LABEL, HOST_PORT, SPIFFE_ID, TRUST_DOMAIN
from .robots import ASSUMED_CAPABILITIES, DEFAULT_AGENT_SOCKET, DEFAULT_DNS_DOMAIN, DEFAULT_POD_RANGE, Fleet, Robot, is_of_all
from .variables import Reader, Render, Variables, agreed

GROUP, SERVER = "robots", "spire_server"
# What decides, beside the address, which machine Ansible reaches.
WAY = ("ansible_port", "ansible_connection", "ansible_ssh_common_args", "ansible_ssh_extra_args")
# A robot's name is a part of its identity, and of paths: no slash, no space, nothing that a path gives a meaning.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,199}")
# With room for what is put in front of it: RFC 1035 has 253 characters for all.
DNS_DOMAIN = rf"(?=.{{1,60}}\Z){HOST_LABEL}(\.{HOST_LABEL})*"
ATTESTORS = ("x509pop", "join_token")
DOWNLOADS = ("robot", "controller")
ADDRESSES = "an IP address, or a list of them"
# What job files are rendered with, as the controller has it: that is in no group but `all`.
VARS, CONTROLLER = "k8s4r_vars", "localhost"
PREFIX = "k8s4r_"
# What the inventory may set, without the prefix.
SETTINGS = (
    "trust_domain", "labels", "pod_cidr", "pod_cidr6", "datacenter", "class", "attributes", "peers", "skip_init_tasks", "vars",
    "agent_socket", "address", "dns", "dns_domain", "dns_loopback",
)  # fmt: skip
ONE_FLEET = "an inventory has one fleet: set it for the group `all`, and give each site with settings of its own an inventory of its own"


def fleet_from_inventory(
    groups: t.Mapping[str, t.Sequence[str]],
    raw_variables: t.Callable[[str], Variables],
    capabilities: t.Mapping[str, t.Mapping[str, str]],
    render: Render = lambda _host, value: value,
) -> Fleet:
    """Build the `Fleet` of the whole inventory group `robots`, whatever the run is limited to.

    `raw_variables(host)` returns a host's untemplated variables. `render` is called only for values that contain a template or
    a vaulted text, because it takes most of the time with a thousand robots. `capabilities` are what each host reported when it
    was probed. Raises `JobErrors` with all that is wrong in the inventory.
    """
    errors: list[Problem] = []
    names = sorted(groups.get(GROUP, ()))
    readers = [Reader(name, raw_variables(name), render, errors) for name in names]
    robots = tuple(_robot(reader, capabilities.get(reader.host, {})) for reader in readers)
    errors += _misspelt(readers)
    errors += _from_facts(readers)
    errors += _without_dns(readers, robots)
    errors += _not_for_all(readers, raw_variables)
    errors += _servers(groups.get(SERVER, ()))
    built = _fleet(robots, readers, errors) if readers else Fleet(robots)
    errors += _odd_names(names, bool(built.trust_domain))
    if errors:
        raise JobErrors(errors)
    return built


def _fleet(robots: tuple[Robot, ...], readers: t.Sequence[Reader], errors: list[Problem]) -> Fleet:
    def domain(reader: Reader) -> str:
        return reader.text("k8s4r_trust_domain", "", f"{TRUST_DOMAIN}|", "1 to 255 lower-case letters, digits, . _ -")

    def dns_domain(reader: Reader) -> str:
        expected = "a domain: lower-case letters, digits and -, with dots between"
        return reader.text("k8s4r_dns_domain", DEFAULT_DNS_DOMAIN, DNS_DOMAIN, expected)

    answers_for = agreed(readers, "k8s4r_dns_domain", dns_domain, ONE_FLEET)
    peers = agreed(readers, "k8s4r_peers", lambda reader: reader.mapping("k8s4r_peers"), ONE_FLEET)
    errors += _odd_peers(peers)
    return Fleet(
        robots=tuple(robot._replace(dns=answers_for) if robot.dns else robot for robot in robots),
        trust_domain=agreed(readers, "k8s4r_trust_domain", domain, ONE_FLEET),
        agent_socket=agreed(
            readers, "k8s4r_agent_socket", lambda reader: reader.text("k8s4r_agent_socket", DEFAULT_AGENT_SOCKET), ONE_FLEET
        ),
        peers={plain_port(address): peer for address, peer in peers.items()},
        skip_init_tasks=frozenset(
            agreed(readers, "k8s4r_skip_init_tasks", lambda reader: reader.names("k8s4r_skip_init_tasks"), ONE_FLEET)
        ),
    )


def _robot(variables: Reader, probed: t.Mapping[str, str]) -> Robot:
    address = variables.text("ansible_host", variables.host)
    return Robot(
        name=variables.host,
        address=address,
        labels=variables.mapping("k8s4r_labels"),
        datacenter=variables.text("k8s4r_datacenter", "dc1"),
        node_class=variables.text("k8s4r_class", ""),
        capabilities={**ASSUMED_CAPABILITIES, **probed, **variables.mapping("k8s4r_attributes")},
        attestor=variables.choice("spire_agent_attestor", ATTESTORS),
        way=(address, *(str(variables.variables.get(name, "")) for name in WAY)),
        downloads=variables.choice("artifact_download_by", DOWNLOADS),
        pods=variables.network("k8s4r_pod_cidr", DEFAULT_POD_RANGE),
        addresses=_addresses(variables),
        dns=DEFAULT_DNS_DOMAIN if variables.switch("k8s4r_dns") else "",
        dns_loopback=variables.switch("k8s4r_dns_loopback"),
        pods6=variables.network_six("k8s4r_pod_cidr6"),
    )


def _addresses(variables: Reader) -> tuple[str, ...]:
    """Where other robots reach it. What no robot can be reached at is refused here: a caller would only find that nobody answers, or that
    it reaches itself.
    """
    name = "k8s4r_address"
    found = variables.texts(name, "(?s:.*)", ADDRESSES)
    raw = variables.variables.get(name)
    written = (raw,) if isinstance(raw, str) else raw if isinstance(raw, (list, tuple)) else (None,)
    # A vaulted text is none before it is decrypted.
    hidden = not all(isinstance(each, str) for each in written)
    for number, each in enumerate(found):
        wrong = _unreachable(each)
        if wrong:
            place = name if isinstance(raw, str) else f"{name}[{number}]"
            mistake = Mistake(wrong, value=quoted(each))
            variables.errors.append(Problem("inventory", mistake.message(hidden), "", f"{variables.host}.{place}"))
    return tuple(map(plain, found))


def _unreachable(text: str) -> str:
    """Why this is no address at which other robots reach a robot; empty where it is one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return f"expected {ADDRESSES}"
    if is_of_all(text):
        return "expected an address at which other robots reach this one; there, each of them reaches itself"
    if ":" in str(address) and (address.is_link_local or "%" in text):
        return "expected an address at which other robots reach this one; this one is of a single link, and they may have several"
    return ""


def names_of_one_machine(fleet: Fleet) -> list[str]:
    """A warning for each address that several robots have: as one machine they would undo each other's deployments."""
    names: dict[tuple[str, ...], list[str]] = {}
    for robot in fleet.robots:
        names.setdefault(robot.way, []).append(robot.name)
    return [
        f"inventory: {few(same, 3)} have the same address, {way[0]}: "
        "if they are one machine, deploying to one name undoes what was deployed to the others; give each machine one name"
        for way, same in names.items()
        if len(same) > 1 and way
    ]


def addresses_of_several(fleet: Fleet) -> list[str]:
    """A warning for each `k8s4r_address` that several robots have: whoever calls the one may reach the other."""
    found: dict[str, list[Robot]] = {}
    for robot in fleet.robots:
        for address in dict.fromkeys(robot.addresses):
            found.setdefault(address, []).append(robot)
    return [
        f"inventory: {few([robot.name for robot in same], 3)} have the same k8s4r_address, {address}: "
        "who calls a service of one of them may reach another; give each robot its own"
        for address, same in found.items()
        # One machine with several names is told of already.
        if len({robot.way for robot in same}) > 1
    ]


def _odd_names(names: t.Iterable[str], agents: bool) -> t.Iterator[Problem]:
    """`agents`: the robots have SPIRE agents, or may get them."""
    for name in names:
        if not NAME.fullmatch(name):
            allowed = "a name begins with a letter, a digit or _, and has only letters, digits and . _ : - after that"
            yield Problem("inventory", f"{quoted(name)} cannot be the name of a robot", allowed, GROUP)
        elif agents and not re.fullmatch(agent_names.AGENT, name):
            found = f"{quoted(name)} cannot be the name of a robot with a SPIRE agent, where it becomes part of the agent's ID"
            yield Problem("inventory", found, f"such a name has {agent_names.ALLOWED}; an address can be its ansible_host", GROUP)


def _misspelt(readers: t.Iterable[Reader]) -> t.Iterator[Problem]:
    """Variables that resemble one of ours: they would have no effect, silently."""
    given: dict[str, str] = {}
    for reader in readers:
        for name in reader.variables.keys() - given.keys():
            given[name] = reader.host
    for name, host in sorted(given.items()):
        rest = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and rest not in SETTINGS:
            for close in difflib.get_close_matches(rest, SETTINGS, n=1, cutoff=0.75):
                yield Problem("inventory", "unknown variable", f"did you mean {PREFIX}{close}?", f"{host}.{name}")


def _from_facts(readers: t.Iterable[Reader]) -> t.Iterator[Problem]:
    """Settings that a robot has reported itself: they outrank the inventory's, and where a job with secrets runs is not its to say."""
    found = "is among the facts that the robot reports, which may be anything"
    remedy = "set it in the inventory, and clear Ansible's cache of facts if it has one"
    for reader in readers:
        for name in sorted(reader.variables.get("ansible_facts") or ()):
            if name.startswith((PREFIX, "spire_")):
                yield Problem("inventory", found, remedy, f"{reader.host}.{name}")


def _without_dns(readers: t.Sequence[Reader], robots: t.Sequence[Robot]) -> t.Iterator[Problem]:
    for reader, robot in zip(readers, robots, strict=True):
        if robot.dns_loopback and not robot.dns:
            found = "there is no DNS server that could answer at 127.0.0.153"
            yield Problem("inventory", found, "set k8s4r_dns: true, too", f"{reader.host}.k8s4r_dns_loopback")


def _not_for_all(readers: t.Sequence[Reader], raw_variables: t.Callable[[str], Variables]) -> t.Iterator[Problem]:
    """`k8s4r_vars` that robots have and no job file sees: those are rendered once for all robots, where only the group `all` counts."""
    having = [reader for reader in readers if VARS in reader.variables]
    everywhere = raw_variables(CONTROLLER).get(VARS) if having else None
    other = [reader.host for reader in having if not _is_same(reader, reader.variables[VARS], everywhere)]
    if other:
        found = f"is set for {few(other, 3)}, and not so for the group `all`; job files are rendered once, with what `all` has"
        yield Problem("inventory", found, "set it for the group `all`; what differs between robots can be one of their k8s4r_labels", VARS)


def _is_same(reader: Reader, theirs: t.Any, other: t.Any) -> bool:
    """Whether two values are the same as they are written, or once they are decrypted; also true where that cannot be told."""
    if theirs is other:
        return True
    if isinstance(theirs, t.Mapping) and isinstance(other, t.Mapping):
        return theirs.keys() == other.keys() and all(_is_same(reader, value, other[key]) for key, value in theirs.items())
    if isinstance(theirs, list) and isinstance(other, list):
        return len(theirs) == len(other) and all(map(functools.partial(_is_same, reader), theirs, other))
    plain_types = (str, int, float, type(None), t.Mapping, list)
    if isinstance(theirs, plain_types) and isinstance(other, plain_types):
        return theirs == other
    try:
        return bool(reader.render(reader.host, theirs) == reader.render(reader.host, other))
    except ValueError:
        # Who uses it is told.
        return True


def _servers(names: t.Sequence[str]) -> t.Iterator[Problem]:
    if len(names) > 1:
        yield Problem("inventory", f"the group has {', '.join(sorted(names))}", "it takes one machine, which runs the SPIRE server", SERVER)


def _odd_peers(peers: t.Mapping[str, str]) -> t.Iterator[Problem]:
    first: dict[str, str] = {}
    for address, identity in peers.items():
        other = first.setdefault(plain_port(address), address)
        if other != address:
            yield Problem("inventory", f"{quoted(other)} and {quoted(address)} are one address", "write it once", "k8s4r_peers")
        if not re.fullmatch(HOST_PORT, address):
            yield Problem("inventory", f"found {quoted(address)}: expected host:port or [IPv6 address]:port", "", "k8s4r_peers")
        if not re.fullmatch(SPIFFE_ID, identity):
            # It may come from a vault.
            found = f"the value at {quoted(address)} is not a SPIFFE ID: expected spiffe://<trust domain>/<path>"
            yield Problem("inventory", found, "", "k8s4r_peers")
