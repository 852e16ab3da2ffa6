# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls between pods, and their published ports, as one table of nftables, and as rules for routing.

Both stand for themselves. nftables marks what may go to a pod; the rules for routing let no other packet of the network or of a pod
come that far. So a flush of all tables, which many programs do, closes every way and opens none.

What is written comes from numbers alone, and from names of links that have been checked; names of groups are only compared.
"""

from __future__ import annotations

import re

from ..plan import BRIDGE
from . import files
from .across.routes import TABLE as ROUTES
from .files import contains, network, number, spelt

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod, Published

    # What a pod that is reached by others has: the addresses of those, each its own too.
    Way = t.Tuple[int, t.Tuple[int, ...]]
    Network = t.Tuple[int, int]

TABLE = "k8s4r"
# In a packet's mark, one bit says that it may go where it goes, another that what others have between interfaces does not concern it.
# Neither is one of Kubernetes (0x4000, 0x8000), Tailscale (0xff0000) or the plugins of CNI (0x2000).
ALLOWED, PASSES = 0x08000000, 0x04000000
# The rules for routing to pods, by their preference: what this robot sends; what is allowed; nothing else; and to pods of other robots.
OWN, MARKED, REFUSED, ACROSS = 1464, 1465, 1466, 1467
EVERY = "0.0.0.0"
_LINK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_EMPTY = f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def sound(pods: t.Mapping[str, Pod]) -> dict[str, Pod]:
    """Those of which every number is one. The others get no network: nothing is open to them."""
    return {id: pod for id, pod in pods.items() if _is_sound(pod)}


def _is_sound(pod: Pod) -> bool:
    try:
        for each in pod.get("elsewhere", {}).values():
            list(map(number, each))
        return contains(network(pod["range"]), number(pod["address"])) and all(map(_is_port, pod["ports"]))
    except (ValueError, AttributeError):
        return False


def _is_port(port: Published) -> bool:
    numbers = (port["port"], port["to"])
    return port["protocol"] in ("tcp", "udp") and all(map(_is_number, numbers)) and _is_host(port)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _is_host(port: Published) -> bool:
    if not isinstance(port["address"], str):
        return False
    if ":" not in port["address"]:
        number(port["address"])
    return True


def ranges(pods: t.Mapping[str, Pod]) -> list[tuple[int, int]]:
    """The networks of all pods, without those that are part of another. ``pods`` are sound, here and below."""
    found = sorted({network(pod["range"]) for pod in pods.values()}, key=lambda each: (each[1], each[0]))
    return [each for index, each in enumerate(found) if not any(contains(whole, each[0]) for whole in found[:index])]


def published(pods: t.Mapping[str, Pod]) -> dict[tuple[str, int], list[tuple[str, int, int]]]:
    """The robot's ports that lead to pods: {(protocol, port): [(the robot's address, the pod's, the pod's port)]}, a port of a single
    address first. IPv6 is not published.
    """
    found: dict[tuple[str, int], list[tuple[str, int, int]]] = {}
    for id in sorted(pods):
        for port in pods[id]["ports"]:
            if ":" not in port["address"]:
                way = (port["address"], number(pods[id]["address"]), port["to"])
                found.setdefault((port["protocol"], port["port"]), []).append(way)
    return {key: sorted(found[key], key=lambda way: way[0] == EVERY) for key in sorted(found)}


def ruleset(pods: t.Mapping[str, Pod], uplinks: t.Iterable[str] = (), across: t.Sequence[Network] = ()) -> str:
    """What `nft -f` makes the table of, in one step, whatever it was before. ``uplinks``: links that lead away from this robot.
    ``across``: the networks of other robots' pods to which it has a route.
    """
    if not pods:
        return _EMPTY
    whole = _networks(ranges(pods))
    gateways = {pod["range"]: files.gateway(pod["range"]) for pod in pods.values()}
    ports = published(pods)
    chains = [
        _entrance(pods, whole, gateways, across),
        _hook("arrives", "nat", "prerouting", -100, ["fib daddr type local jump publish"]),
        _hook("sends", "nat", "output", -100, ["fib daddr type local jump publish"]),
        *_publish(ports),
        _chain("allow", [f"meta mark set meta mark | {ALLOWED:#010x}"]),
        *_walls(pods, whole, ports, across),
        _forward(uplinks),
        # A pod cannot reach another but through this robot, whatever the kernel thinks of the way.
        _hook("redirects", "filter", "output", 0, [f'oifname "{BRIDGE}" icmp type redirect drop']),
        _leaves(pods, whole, gateways, across),
    ]
    return _EMPTY + f"table inet {TABLE} {{\n" + "".join(chains) + "}\n"


def _entrance(pods: t.Mapping[str, Pod], whole: str, gateways: t.Mapping[str, str], across: t.Sequence[Network]) -> str:
    """Before all else: what cannot be from where it says that it is. Pods of another robot are behind the link to that robot alone."""
    others = f'iifname != {{ "lo", "{BRIDGE}" }}'
    return _hook(
        "entrance",
        "filter",
        "prerouting",
        -300,
        [
            f'iifname "{BRIDGE}" meta nfproto ipv6 drop',
            f'iifname "{BRIDGE}" ip daddr 127.0.0.0/8 drop',
            f'iifname "{BRIDGE}" ip saddr != {_set(pod["address"] for pod in pods.values())} drop',
            f"{others} ip saddr {whole} drop",
            f"{others} ip daddr {_set(gateways.values())} drop",
            *([f"{others} ip saddr {_networks(across)} fib saddr . iif oif missing drop"] if across else []),
        ],
    )


def _publish(ports: t.Mapping[tuple[str, int], list[tuple[str, int, int]]]) -> t.Iterator[str]:
    jumps = {protocol: [f"{port} : goto {protocol}_{port}" for each, port in ports if each == protocol] for protocol in ("tcp", "udp")}
    for (protocol, port), ways in ports.items():
        rules = []
        for host, pod, to in ways:
            at = "" if host == EVERY else f"ip daddr {host} "
            rules.append(f"{at}meta l4proto {protocol} dnat ip to {spelt(pod)}:{to}")
        yield _chain(f"{protocol}_{port}", rules)
    yield _chain("publish", [f"{protocol} dport vmap {_set(each)}" for protocol, each in jumps.items() if each])


def _walls(
    pods: t.Mapping[str, Pod], whole: str, ports: t.Mapping[tuple[str, int], list[tuple[str, int, int]]], across: t.Sequence[Network]
) -> t.Iterator[str]:
    """What may go to a pod is marked after its destination is known, and before it is routed.

    A packet of the side that opened a connection is judged each time, so a wall that is put up stops what runs.
    """
    rules = [
        f'ip daddr != {whole} iifname "{BRIDGE}" goto allow',
        f"ip daddr != {whole} accept",
        "ct direction reply ct state established goto allow",
        "ct state related goto allow",
    ]
    ways: dict[str, dict[tuple[int, int], set[int]]] = {"tcp": {}, "udp": {}}
    for (protocol, port), each in ports.items():
        for _host, pod, to in each:
            ways[protocol].setdefault((pod, to), set()).add(port)
    for protocol, known in ways.items():
        # What was published under another number, or to another pod of this address, leads here no longer.
        jumps = [f"{spelt(pod)} . {to} : goto {protocol}_of_{_word(pod)}_{to}" for pod, to in sorted(known)]
        if jumps:
            rules.append(f"ct status dnat ip daddr . {protocol} dport vmap {_set(jumps)}")
        for (pod, to), numbers in sorted(known.items()):
            asked = _set(str(each) for each in sorted(numbers))
            yield _chain(f"{protocol}_of_{_word(pod)}_{to}", [f"meta l4proto {protocol} ct original proto-dst {asked} goto allow"])
    for name, links, found in (("from", f'"{BRIDGE}"', _ways(pods)), ("across", f'!= {{ "lo", "{BRIDGE}" }}', _ways_across(pods, across))):
        by_way: dict[tuple[int, ...], list[int]] = {}
        for reached, from_them in found:
            by_way.setdefault(from_them, []).append(reached)
        jumps = []
        for place, (senders, reached_by_them) in enumerate(sorted(by_way.items()), 1):
            yield _chain(f"{name}_{place}", [f"ip saddr {_set(map(spelt, senders))} goto allow"])
            jumps += [f"{spelt(each)} : goto {name}_{place}" for each in reached_by_them]
        if jumps:
            rules.append(f"iifname {links} ip daddr vmap {_set(jumps)}")
    yield _hook("walls", "filter", "prerouting", -50, rules)


def _ways(pods: t.Mapping[str, Pod]) -> t.Iterator[Way]:
    """For each pod the addresses of those that may open connections to it."""
    members: dict[str, list[int]] = {}
    for pod in pods.values():
        members.setdefault(pod["group"], []).append(number(pod["address"]))
    for pod in pods.values():
        senders = {each for group in {pod["group"], *pod["reach"]} for each in members.get(group, [])}
        yield number(pod["address"]), tuple(sorted(senders))


def _ways_across(pods: t.Mapping[str, Pod], across: t.Sequence[Network]) -> t.Iterator[Way]:
    """The same of pods on other robots. Where no route leads to one, anybody could say that he is it."""
    for pod in pods.values():
        known = {number(each) for found in pod.get("elsewhere", {}).values() for each in found}
        senders = {each for each in known if any(contains(whole, each) for whole in across)}
        if senders:
            yield number(pod["address"]), tuple(sorted(senders))


def _forward(uplinks: t.Iterable[str]) -> str:
    """The wall once more, for a robot whose rules for routing somebody has removed; and a mark for Docker's chain, which drops what it
    does not know. Where pods send to, but for other bridges of this robot: those have walls of their own.
    """
    passes = f"meta mark set meta mark | {PASSES:#010x}"
    away = [f'"{link}"' for link in sorted(uplinks) if _LINK.fullmatch(link)]
    rules = [
        f'oifname "{BRIDGE}" meta mark & {ALLOWED:#010x} != {ALLOWED:#010x} drop',
        f'oifname "{BRIDGE}" {passes}',
    ]
    if away:
        rules.append(f'iifname "{BRIDGE}" oifname {_set(away)} {passes}')
    return _hook("between", "filter", "forward", -10, rules)


def _leaves(pods: t.Mapping[str, Pod], whole: str, gateways: t.Mapping[str, str], across: t.Sequence[Network]) -> str:
    """Sources that the other end could not answer: the robot's loopback, the pod's own address, and a pod's outside of the robot, but on
    robots that have a way back.
    """
    rules = []
    for text, gateway in sorted(gateways.items()):
        base, length = network(text)
        rules.append(f'oifname "{BRIDGE}" ip saddr 127.0.0.0/8 ip daddr {spelt(base)}/{length} snat ip to {gateway}')
    for pod in sorted(pods.values(), key=lambda pod: number(pod["address"])):
        if pod["ports"]:
            own = pod["address"]
            rules.append(f'oifname "{BRIDGE}" ip saddr {own} ip daddr {own} snat ip to {gateways[pod["range"]]}')
    others = f" ip daddr != {_networks(across)}" if across else ""
    rules.append(f'oifname != "{BRIDGE}" ip saddr {whole}{others} masquerade')
    return _hook("leaves", "nat", "postrouting", 100, rules)


def routing(pods: t.Mapping[str, Pod], across: t.Sequence[Network] = ()) -> list[tuple[int, str, str, str]]:
    """The rules for routing: preference, destination, and what else is asked and done, in the words of ip-rule(8)."""
    mark = f"{ALLOWED:#x}"
    each = ((OWN, "iif lo", "lookup main"), (MARKED, f"fwmark {mark}/{mark}", "lookup main"), (REFUSED, "", "prohibit"))
    own = [(pref, f"{spelt(base)}/{length}", asked, does) for base, length in ranges(pods) for pref, asked, does in each]
    return own + [(ACROSS, f"{spelt(base)}/{length}", "", f"lookup {ROUTES}") for base, length in across]


def _networks(networks: t.Iterable[Network]) -> str:
    return _set(f"{spelt(base)}/{length}" for base, length in networks)


def _word(value: int) -> str:
    return spelt(value).replace(".", "_")


def _set(members: t.Iterable[str]) -> str:
    return "{ " + ", ".join(dict.fromkeys(members)) + " }"


def _chain(name: str, rules: t.Iterable[str]) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{rule}\n" for rule in rules) + "\t}\n"


def _hook(name: str, kind: str, hook: str, priority: int, rules: t.Iterable[str]) -> str:
    return _chain(name, [f"type {kind} hook {hook} priority {priority}; policy accept;", *rules])
