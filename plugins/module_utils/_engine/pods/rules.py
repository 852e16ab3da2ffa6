# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls between pods, and their published ports, as one table of nftables, and as rules for routing.

Both stand for themselves. nftables marks what may go to a pod; the rules for routing let no other packet of the network or of a pod
come that far. So a flush of all tables, which many programs do, closes every way and opens none. One code makes those of IPv4 and of IPv6.

What is written comes from numbers alone, and from names of links that have been checked; names of groups are only compared.
"""

from __future__ import annotations

import re

from ..plan import BRIDGE
from .across.routes import TABLE as ROUTES
from .six import family
from .six.family import FOUR, SIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod, Published
    from .six.family import Family

    # What a pod that is reached by others has: the addresses of those, each its own too.
    Way = t.Tuple[int, t.Tuple[int, ...]]
    Network = t.Tuple[int, int]
    # (protocol, port): [(the robot's address, the pod's, the pod's port)]
    Leads = t.Dict[t.Tuple[str, int], t.List[t.Tuple[str, int, int]]]
    # protocol: {(the pod's address, its port): the robot's ports}
    Asked = t.Dict[str, t.Dict[t.Tuple[int, int], t.Set[int]]]
    # How chains are called, the links that packets come in by, and by the addresses of senders the pods that they reach.
    Reached = t.Tuple[str, str, t.Dict[t.Tuple[int, ...], t.List[int]]]
    # What nobody may send from one network of the robot to another: the words of families of which the robot forwards for its pods alone,
    # bridges that are links of the robot, and links by which somebody else lets packets in and out.
    Apart = t.Tuple[t.Sequence[str], t.Iterable[str], t.Iterable[str]]

TABLE = "k8s4r"
# In a packet's mark, one bit says that it may go where it goes, another that what others have between interfaces does not concern it.
# Neither is one of Kubernetes (0x4000, 0x8000), Tailscale (0xff0000) or the plugins of CNI (0x2000).
ALLOWED, PASSES = 0x08000000, 0x04000000
# The rules for routing to pods, by their preference: what this robot sends; what is allowed; nothing else; and to pods of other robots.
OWN, MARKED, REFUSED, ACROSS = 1464, 1465, 1466, 1467
_PROTOCOLS = ("tcp", "udp")
# Of IPv6, addresses of the robot that are nobody's else to ask, or on one link: who asks there could not be answered by a pod.
_NEAR = "{ ::1, fe80::/10 }"
# What neighbours and routers tell each other.
_MESSAGES = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect }"
# Links as the kernel and systemd call them; one that comes later than the rules is closed from its beginning.
_USUAL = ("en*", "eth*", "usb*", "wl*", "ww*")
# Forwarding of packets to many is another program's, with or without ours.
_MANY = {"ip": "224.0.0.0/4", "ip6": "ff00::/8"}
_LINK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_EMPTY = f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def sound(pods: t.Mapping[str, Pod]) -> dict[str, Pod]:
    """Those of which every number is one. The others get no network: nothing is open to them."""
    return {id: pod for id, pod in pods.items() if _is_sound(pod)}


def _is_sound(pod: Pod) -> bool:
    try:
        for of, others in ((FOUR, pod.get("elsewhere", {})), (SIX, pod.get("elsewhere6", {}))):
            for each in others.values():
                list(map(of.number, each))
        inside = FOUR.contains(FOUR.network(pod["range"]), FOUR.number(pod["address"]))
        return inside and family.is_sound(pod) and all(map(_is_port, pod["ports"]))
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
    (SIX if ":" in port["address"] else FOUR).number(port["address"])
    return True


def ranges(pods: t.Mapping[str, Pod], of: Family = FOUR) -> list[Network]:
    """The networks of all pods, without those that are part of another. ``pods`` are sound, here and below."""
    found = sorted({of.network(pod["range"]) for pod in of.see(pods).values()}, key=lambda each: (each[1], each[0]))
    return [each for index, each in enumerate(found) if not any(of.contains(whole, each[0]) for whole in found[:index])]


def published(pods: t.Mapping[str, Pod], of: Family = FOUR) -> Leads:
    """The robot's ports that lead to pods, a port of a single address first."""
    found: Leads = {}
    for _id, pod in sorted(of.see(pods).items()):
        for port in pod["ports"]:
            way = (port["address"], of.number(pod["address"]), port["to"])
            found.setdefault((port["protocol"], port["port"]), []).append(way)
    return {key: sorted(found[key], key=lambda way: way[0] == of.every) for key in sorted(found)}


class _Side:
    """All pods as one family of addresses sees them, and what follows: their networks, the robot's address in each, published ports.
    ``across``: the networks of other robots' pods to which there is a route.
    """

    def __init__(self, of: Family, pods: t.Mapping[str, Pod], across: t.Sequence[Network] = ()) -> None:
        self.of, self.pods, self.across = of, of.see(pods), across
        self.whole = _networks(ranges(pods, of), of)
        self.gateways = {pod["range"]: of.gateway(pod["range"]) for pod in self.pods.values()}
        self.ports = published(pods, of)


def ruleset(
    pods: t.Mapping[str, Pod],
    uplinks: t.Iterable[str] = (),
    across: t.Sequence[Network] = (),
    across_six: t.Sequence[Network] = (),
    apart: Apart = ((), (), ()),
) -> str:
    """What `nft -f` makes the table of, in one step, whatever it was before. ``uplinks``: links that lead away from this robot.
    ``across``: the networks of other robots' pods to which it has a route; ``across_six``: those of IPv6.
    """
    if not pods:
        return _EMPTY
    sides = [_Side(FOUR, pods, across), *([_Side(SIX, pods, across_six)] if family.of_six(pods) else [])]
    redirects = ["icmp type redirect", "icmpv6 type nd-redirect"][: len(sides)]
    chains = [
        _entrance(sides),
        _hook("arrives", "nat", "prerouting", -100, ["fib daddr type local jump publish"]),
        _hook("sends", "nat", "output", -100, ["fib daddr type local jump publish"]),
        *_publish(sides),
        _chain("allow", [f"meta mark set meta mark | {ALLOWED:#010x}"]),
        *_walls(sides),
        *_apart(uplinks, apart),
        _hook("between", "filter", "forward", -10, [*_forward(uplinks), *_keeps_apart(apart)]),
        # A pod cannot reach another but through this robot, whatever the kernel thinks of the way.
        _hook("redirects", "filter", "output", 0, [f'oifname "{BRIDGE}" {each} drop' for each in redirects]),
        _hook("leaves", "nat", "postrouting", 100, [rule for side in sides for rule in _leaves(side)]),
    ]
    return _EMPTY + f"table inet {TABLE} {{\n" + "".join(chains) + "}\n"


def remains(uplinks: t.Iterable[str], apart: Apart) -> str:
    """The same where the last pod is gone and the robot goes on to forward for others."""
    between = _hook("between", "filter", "forward", -10, _keeps_apart(apart))
    return _EMPTY + f"table inet {TABLE} {{\n" + "".join([*_apart(uplinks, apart), between]) + "}\n"


def _entrance(sides: t.Sequence[_Side]) -> str:
    """Before all else: what cannot be from where it says that it is. Pods of another robot are behind the link to that robot alone."""
    here, others = f'iifname "{BRIDGE}"', f'iifname != {{ "lo", "{BRIDGE}" }}'
    if len(sides) == 1:
        rules = [f"{here} meta nfproto ipv6 drop"]
    else:
        rules = [f"{here} icmpv6 type {_MESSAGES} drop", f"{here} exthdr rt exists drop"]
    rules.append(f"{here} ip daddr 127.0.0.0/8 drop")
    for side in sides:
        word = side.of.word
        rules += [
            f"{here} {word} saddr != {_set(pod['address'] for pod in side.pods.values())} drop",
            f"{others} {word} saddr {side.whole} drop",
            f"{others} {word} daddr {_set(side.gateways.values())} drop",
        ]
        if side.across:
            rules.append(f"{others} {word} saddr {_networks(side.across, side.of)} fib saddr . iif oif missing drop")
    return _hook("entrance", "filter", "prerouting", -300, rules)


def _publish(sides: t.Sequence[_Side]) -> t.Iterator[str]:
    """A port may lead to pods of both families, and to another pod of each."""
    rules: dict[tuple[str, int], list[str]] = {}
    for side in sides:
        for (protocol, port), ways in side.ports.items():
            for host, pod, to in ways:
                at = "" if host == side.of.every else f"{side.of.word} daddr {host} "
                where = side.of.spelt(pod) if side.of is FOUR else f"[{side.of.spelt(pod)}]"
                rule = f"{at}meta l4proto {protocol} dnat {side.of.word} to {where}:{to}"
                rules.setdefault((protocol, port), []).append(rule)
    for (protocol, port), own in sorted(rules.items()):
        yield _chain(f"{protocol}_{port}", own)
    jumps = {protocol: [f"{port} : goto {protocol}_{port}" for each, port in sorted(rules) if each == protocol] for protocol in _PROTOCOLS}
    near = [f"ip6 daddr {_NEAR} return"] if len(sides) > 1 else []
    yield _chain("publish", [*near, *(f"{protocol} dport vmap {_set(each)}" for protocol, each in jumps.items() if each)])


def _walls(sides: t.Sequence[_Side]) -> t.Iterator[str]:
    """What may go to a pod is marked after its destination is known, and before it is routed.

    A packet of the side that opened a connection is judged each time, so a wall that is put up stops what runs.
    """
    rules = []
    for side in sides:
        elsewhere = f"{side.of.word} daddr != {side.whole}"
        rules += [f'{elsewhere} iifname "{BRIDGE}" goto allow', f"{elsewhere} accept"]
    rules.append("ct direction reply ct state established goto allow")
    for side in sides:
        rules += _errors(side)
    rules.append(f'iifname != "{BRIDGE}" ct state related goto allow')
    for side in sides:
        asked, reached = _asked(side), list(_reached(side))
        rules += [*_jumps_to_ports(side, asked), *_jumps_to_pods(side, reached)]
        yield from _chains_of_ports(side, asked)
        yield from _chains_of_pods(side, reached)
    yield _hook("walls", "filter", "prerouting", -50, rules)


def _errors(side: _Side) -> t.Iterator[str]:
    """What a pod says of a connection, as that nobody listens, is heard if it is one of the two ends. A pod is no router: what it says of
    others' connections could only stop or slow them. Of a pod of another robot it is not known whether it is an end.
    """
    word = side.of.word
    pods = [side.of.spelt(number) for number in sorted(side.of.number(pod["address"]) for pod in side.pods.values())]
    same = _set(f"{address} . {address}" for address in pods)
    for end in ("reply", "original"):
        yield f'iifname "{BRIDGE}" ct state related {word} saddr . ct {end} {word} saddr {same} goto allow'
    if side.across:
        yield f"ct state related {word} saddr {_networks(side.across, side.of)} drop"


def _jumps_to_ports(side: _Side, asked: Asked) -> t.Iterator[str]:
    """How the chains of published ports are come to."""
    of = side.of
    for protocol, known in asked.items():
        # What was published under another number, or to another pod of this address, leads here no longer.
        jumps = [f"{of.spelt(pod)} . {to} : goto {protocol}_of_{_word(pod, of)}_{to}" for pod, to in sorted(known)]
        if jumps:
            yield f"ct status dnat {of.word} daddr . {protocol} dport vmap {_set(jumps)}"


def _chains_of_ports(side: _Side, asked: Asked) -> t.Iterator[str]:
    for protocol, known in asked.items():
        for (pod, to), numbers in sorted(known.items()):
            ports = _set(str(each) for each in sorted(numbers))
            yield _chain(f"{protocol}_of_{_word(pod, side.of)}_{to}", [f"meta l4proto {protocol} ct original proto-dst {ports} goto allow"])


def _asked(side: _Side) -> Asked:
    """By protocol, and by a pod's address and port, the robot's ports that lead there."""
    found: Asked = {protocol: {} for protocol in _PROTOCOLS}
    for (protocol, port), each in side.ports.items():
        for _host, pod, to in each:
            found[protocol].setdefault((pod, to), set()).add(port)
    return found


def _jumps_to_pods(side: _Side, reached: t.Sequence[Reached]) -> t.Iterator[str]:
    """How the chains are come to of pods that others may open connections to."""
    for name, links, by_senders in reached:
        places = enumerate(by_senders.values(), 1)
        jumps = [f"{side.of.spelt(each)} : goto {name}_{place}" for place, pods in places for each in pods]
        if jumps:
            yield f"iifname {links} {side.of.word} daddr vmap {_set(jumps)}"


def _chains_of_pods(side: _Side, reached: t.Sequence[Reached]) -> t.Iterator[str]:
    for name, _links, by_senders in reached:
        for place, senders in enumerate(by_senders, 1):
            yield _chain(f"{name}_{place}", [f"{side.of.word} saddr {_set(map(side.of.spelt, senders))} goto allow"])


def _reached(side: _Side) -> t.Iterator[Reached]:
    """For pods of this robot and for those of others: how chains are called, the links that they come in by, and by the addresses of
    those who may open connections, the pods that they may open them to.
    """
    suffix = "" if side.of is FOUR else "6"
    for name, links, ways in (("from", f'"{BRIDGE}"', _ways(side)), ("across", f'!= {{ "lo", "{BRIDGE}" }}', _ways_across(side))):
        found: dict[tuple[int, ...], list[int]] = {}
        for pod, senders in ways:
            found.setdefault(senders, []).append(pod)
        yield f"{name}{suffix}", links, dict(sorted(found.items()))


def _ways(side: _Side) -> t.Iterator[Way]:
    """For each pod the addresses of those that may open connections to it."""
    members: dict[str, list[int]] = {}
    for pod in side.pods.values():
        members.setdefault(pod["group"], []).append(side.of.number(pod["address"]))
    for pod in side.pods.values():
        senders = {each for group in {pod["group"], *pod["reach"]} for each in members.get(group, [])}
        yield side.of.number(pod["address"]), tuple(sorted(senders))


def _ways_across(side: _Side) -> t.Iterator[Way]:
    """The same of pods on other robots. Where no route leads to one, anybody could say that he is it."""
    of = side.of
    for pod in side.pods.values():
        known = {of.number(each) for found in pod.get("elsewhere", {}).values() for each in found}
        senders = {each for each in known if any(of.contains(whole, each) for whole in side.across)}
        if senders:
            yield of.number(pod["address"]), tuple(sorted(senders))


def _forward(uplinks: t.Iterable[str]) -> list[str]:
    """The wall once more, for a robot whose rules for routing somebody has removed; and a mark for Docker's chain, which drops what it
    does not know. Where pods send to, but for other bridges of this robot: those have walls of their own.
    """
    passes = f"meta mark set meta mark | {PASSES:#010x}"
    away = _links(uplinks)
    rules = [
        f'oifname "{BRIDGE}" meta mark & {ALLOWED:#010x} != {ALLOWED:#010x} drop',
        f'oifname "{BRIDGE}" {passes}',
    ]
    if away:
        rules.append(f'iifname "{BRIDGE}" oifname {_set(away)} {passes}')
    return rules


def _keeps_apart(apart: Apart) -> list[str]:
    """What is neither from a pod nor to one comes so far only because the robot forwards, and it does for pods alone."""
    return [f"{word} daddr != {_MANY[word]} goto apart" for word in apart[0]]


def _apart(uplinks: t.Iterable[str], apart: Apart) -> t.Iterator[str]:
    """From a link that leads away from the robot to another. Networks inside of it, as those of other containers, are their owners'."""
    families, switches, lent = apart
    if not families:
        return
    names = [*([_set(_links(uplinks))] if _links(uplinks) else []), *(f'"{each}"' for each in _USUAL)]
    open_to = [f"{end} {_set(_links(lent))} accept" for end in ("iifname", "oifname") if _links(lent)]
    crossed = [f"iifname {each} oifname {each} accept" for each in _links(switches)]
    # In the nft of Debian 11, `out` is a word of its own, and no name.
    yield _chain("beyond", [f"oifname {each} drop" for each in names])
    yield _chain("apart", [*open_to, *crossed, *(f"iifname {each} goto beyond" for each in names)])


def _links(names: t.Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in sorted(names) if _LINK.fullmatch(name)]


def _leaves(side: _Side) -> t.Iterator[str]:
    """Sources that the other end could not answer: the robot's loopback, the pod's own address, and a pod's outside of the robot, but on
    robots that have a way back. What the robot sends from its loopback of IPv6 comes to no port of a pod.
    """
    of, word, here = side.of, side.of.word, f'oifname "{BRIDGE}"'
    for text, gateway in sorted(side.gateways.items()) if of is FOUR else ():
        base, length = of.network(text)
        yield f"{here} ip saddr 127.0.0.0/8 ip daddr {of.spelt(base)}/{length} snat ip to {gateway}"
    for pod in sorted(side.pods.values(), key=lambda pod: of.number(pod["address"])):
        if pod["ports"]:
            own = pod["address"]
            yield f"{here} {word} saddr {own} {word} daddr {own} snat {word} to {side.gateways[pod['range']]}"
    others = f" {word} daddr != {_networks(side.across, of)}" if side.across else ""
    yield f'oifname != "{BRIDGE}" {word} saddr {side.whole}{others} masquerade'


def routing(pods: t.Mapping[str, Pod], across: t.Sequence[Network] = (), of: Family = FOUR) -> list[tuple[int, str, str, str]]:
    """The rules for routing: preference, destination, and what else is asked and done, in the words of ip-rule(8)."""
    mark = f"{ALLOWED:#x}"
    each = ((OWN, "iif lo", "lookup main"), (MARKED, f"fwmark {mark}/{mark}", "lookup main"), (REFUSED, "", "prohibit"))
    own = [(pref, f"{of.spelt(base)}/{length}", asked, does) for base, length in ranges(pods, of) for pref, asked, does in each]
    return own + [(ACROSS, f"{of.spelt(base)}/{length}", "", f"lookup {ROUTES}") for base, length in across]


def _networks(networks: t.Iterable[Network], of: Family) -> str:
    return _set(f"{of.spelt(base)}/{length}" for base, length in networks)


def _word(value: int, of: Family) -> str:
    return of.spelt(value).replace(".", "_").replace(":", "_")


def _set(members: t.Iterable[str]) -> str:
    return "{ " + ", ".join(dict.fromkeys(members)) + " }"


def _chain(name: str, rules: t.Iterable[str]) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{rule}\n" for rule in rules) + "\t}\n"


def _hook(name: str, kind: str, hook: str, priority: int, rules: t.Iterable[str]) -> str:
    return _chain(name, [f"type {kind} hook {hook} priority {priority}; policy accept;", *rules])
