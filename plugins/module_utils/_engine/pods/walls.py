# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s4r-walls.service: has the walls and published ports of all pods as their files say, and mends what others have removed.

What brings a pod up calls `ensure` as soon as the pod has a link, and before anything runs in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys

from .. import plan
from ..say import jsontext
from ..say.errors import CommandFailed
from ..system import command
from ..system import files as disk
from . import connections, files, guard, link, names, rules
from .across import robots, routes
from .across.links import LINKS as _LINKS
from .across.links import uplinks
from .kernel import forwarding, settings
from .neighbours import Neighbours
from .six import bridge, family

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .files import Pod

    # A rule for routing (rules.routing).
    Rule = t.Tuple[int, str, str, str]
    # Routes to pods of other robots, rules for routing, those of IPv6, and the table of nftables.
    Whole = t.Tuple[t.List[routes.Route], t.List[Rule], t.List[Rule], str]

STATE = plan.RUNTIME + "/walls"
# Seconds. Other programs hold locks of their own, and none of these takes longer.
_PATIENCE = 20


def ensure(directory: str = plan.PODS) -> list[str]:
    """Have all of it; a text for each thing that was not so. Raises `CommandFailed` for what this robot cannot do."""
    with _locked():
        return _ensure(directory)


def cover(id: str, directory: str = plan.PODS) -> None:
    """Have a new pod's link behind all of it. Where many come up together, as at boot, the first one's turn does it for all that have
    their links by then, and the others only see that.
    """
    with _locked():
        if not _covers(id, _described(directory)):
            _ensure(directory)


@contextlib.contextmanager
def _locked() -> t.Iterator[None]:
    os.makedirs(STATE, mode=0o700, exist_ok=True)
    with open(STATE + "/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _described(directory: str) -> dict[str, Pod]:
    """On a robot that was booted without IPv6, pods have none."""
    pods = rules.sound(files.described(directory))
    return pods if family.is_there() else family.without_six(pods)


def _ensure(directory: str) -> list[str]:
    try:
        return _have_all(directory)
    except (CommandFailed, FileNotFoundError):
        # A pod may have gone, and its link with it, while that was looked at.
        return _have_all(directory)


def _have_all(directory: str) -> list[str]:
    pods = _described(directory)
    if not files.any_there(directory):
        return _remove()
    if not pods:
        # None can be read. What stands opens nothing to those that are still up.
        return []
    # Ways are closed before there is anything that they lead to.
    ways, routing, routing_six, ruleset = whole = _whole(pods)
    found = [*_route(routing, ways), *_route_six(routing_six), *_filter(ruleset)]
    if found:
        _forget(pods)
    found += [*_addresses(pods), *_guards(pods), *_settings(pods), *bridge.ensure(pods, _batch_six), *_neighbours(pods)]
    _keep("whole", _digest(whole))
    return found


def _whole(pods: t.Mapping[str, Pod]) -> Whole:
    ways, _without = routes.known(robots.described(), rules.ranges(pods))
    across = [whole for whole, _address, _device in ways]
    return ways, rules.routing(pods, across), rules.routing(pods, (), family.SIX), rules.ruleset(pods, uplinks(), across)


def _covers(id: str, pods: t.Mapping[str, Pod]) -> bool:
    """Whether all of it was there, with this pod's link as it is now, the last time that somebody looked."""
    if id not in pods or _kept("whole") != _digest(_whole(pods)):
        return False
    end = files.link(id)
    number = _index(plan.BRIDGE) if _is_link(plan.BRIDGE) and _is_link(end) else ""
    kept = (_kept("filters") or {}).get("wanted") or {}
    return bool(number) and kept.get(end) == _state(end, number, _wanted(id, pods)) and _alone(end)


def _digest(whole: Whole) -> str:
    return hashlib.sha256(jsontext.dumps(whole).encode("utf-8")).hexdigest()


def _neighbours(pods: t.Mapping[str, Pod]) -> list[str]:
    """Pods do not wait for others: what they lack of these comes with a later look."""
    try:
        return Neighbours().ensure(bool(family.of_six(pods)))
    except CommandFailed as error:
        sys.stderr.write(f"{error}\n")
        return []


def _forget(pods: t.Mapping[str, Pod]) -> None:
    """A kernel that does not tell of its connections (CONFIG_NF_CT_NETLINK) keeps them until they end by themselves."""
    try:
        connections.forget(pods)
    except OSError as error:
        sys.stderr.write(f"connections to ports that lead elsewhere now go on until they end: {error}\n")


def _remove() -> list[str]:
    """Nothing of it: there are no pods."""
    found = [*_route([], []), *_route_six([]), *forwarding.end_six(), *Neighbours().remove()]
    if command.run(["nft", "list", "table", "inet", rules.TABLE], errors=False, timeout=_PATIENCE)[0] == 0:
        _load(rules.ruleset({}))
        found.append("table")
    for name in ("filters", "table", "whole"):
        disk.remove(f"{STATE}/{name}")
    return found


def _is_link(name: str) -> bool:
    return os.path.isdir(f"{_LINKS}/{name}")


# Routing.


def _route(wanted: t.Sequence[Rule], ways: t.Sequence[routes.Route]) -> list[str]:
    """systemd-networkd removes such rules when it starts, but for those that it takes for the kernel's own. ``ways``: the routes to pods
    of other robots. Without a rule for them there are none.
    """
    there = _rules_there("-4", 32)
    across = ways or any(pref == rules.ACROSS for pref, _to in there)
    changed = routes.changes(routes.words(ways), routes.there()) if across else []
    lines = _rules_changed(wanted, there)
    _batch("ip", [*changed, *lines])
    return [*changed, *lines]


def _route_six(wanted: t.Sequence[Rule]) -> list[str]:
    """The same of IPv6. A robot of which no pod ever had that is not asked for such rules."""
    had = _kept("six")
    if not wanted and not had:
        return []
    _keep("six", True)
    lines = _rules_changed(wanted, _rules_there("-6", 128)) if wanted or family.is_there() else []
    _batch_six(lines)
    if not wanted:
        disk.remove(f"{STATE}/six")
    return lines


def _rules_changed(wanted: t.Sequence[Rule], there: t.Sequence[tuple[int, str]]) -> list[str]:
    kept = {(pref, to) for pref, to, _asked, _does in wanted}
    return [
        *(f"rule add pref {pref} to {to} {asked} {does} protocol kernel" for pref, to, asked, does in wanted if (pref, to) not in there),
        *(f"rule del pref {pref} to {to}" for pref, to in there if (pref, to) not in kept),
    ]


def _rules_there(option: str, bits: int) -> list[tuple[int, str]]:
    """Ours, by preference and destination."""
    found = jsontext.loads(command.need(["ip", option, "-json", "rule", "show"], timeout=_PATIENCE))
    mine = [each for each in found if each["priority"] in (rules.OWN, rules.MARKED, rules.REFUSED, rules.ACROSS) and "dst" in each]
    # The protocol is told of rules that are not the kernel's.
    return [(each["priority"], f"{each['dst']}/{each.get('dstlen', bits)}") for each in mine if "protocol" not in each]


def _addresses(pods: t.Mapping[str, Pod]) -> list[str]:
    """The bridge has the robot's address in each range of its pods, and none of a range that they had before."""
    if not _is_link(plan.BRIDGE):
        return []
    wanted = {f"{files.gateway(pod['range'])}/{pod['range'].partition('/')[2]}" for pod in pods.values()}
    said = jsontext.loads(command.need(["ip", "-4", "-json", "address", "show", "dev", plan.BRIDGE], timeout=_PATIENCE) or "[]")
    there = {f"{each['local']}/{each['prefixlen']}" for link in said for each in link.get("addr_info", ())}
    lines = [f"address add {each} dev {plan.BRIDGE}" for each in sorted(wanted - there)]
    lines += [f"address delete {each} dev {plan.BRIDGE}" for each in sorted(there - wanted)]
    _batch("ip", lines)
    return lines


# The table.


def _filter(text: str) -> list[str]:
    """Whether it is as it was made is seen by nft's own words for it, which differ from ours."""
    wanted = hashlib.sha256(text.encode("ascii")).hexdigest()
    status, listed = command.run(["nft", "--stateless", "list", "table", "inet", rules.TABLE], errors=False, timeout=_PATIENCE)
    if status == 0 and _kept("table") == {"wanted": wanted, "listed": listed}:
        return []
    _load(text)
    listed = command.need(["nft", "--stateless", "list", "table", "inet", rules.TABLE], timeout=_PATIENCE)
    _keep("table", {"wanted": wanted, "listed": listed})
    return ["table"]


def _load(text: str) -> None:
    disk.replace(STATE + "/nft", text.encode("ascii"))
    command.need(["nft", "-f", STATE + "/nft"], timeout=_PATIENCE)


# Links.


def _guards(pods: t.Mapping[str, Pod]) -> list[str]:
    """A link that is made again has another number, and no filter."""
    if not _is_link(plan.BRIDGE):
        return []
    # The bridge keeps the address that it was made with, also where its pods get another range.
    gateway = _read(f"{_LINKS}/{plan.BRIDGE}/address")
    ends = {files.link(id): pod for id, pod in pods.items()}
    wanted = {files.link(id): _wanted(id, pods) for id in pods if _is_link(files.link(id))}
    wanted[plan.BRIDGE] = guard.at_bridge()
    number = _index(plan.BRIDGE)
    state = {link: _state(link, number, lines) for link, lines in wanted.items()}
    kept = _kept("filters") or {}
    intact = _intact(wanted, kept.get("listed") or {})
    new = [link for link in wanted if link not in intact or kept["wanted"].get(link) != state[link] or not _alone(link)]
    if new:
        ports = [link for link in new if link in ends]
        _batch("tc", [line for link in new for line in wanted[link]])
        former = kept.get("wanted") or {}
        _limit([link for link in ports if ends[link].get("mbits") or _is_limited(former.get(link, ()))], pods)
        # Its own address on both sides, so that the kernel takes for the robot's what a filter has moved past the bridge.
        _batch("ip", [f"link set {link} address {gateway}" for link in ports])
        alone = "isolated on learning off flood off mcast_flood off"
        _batch("ip", [f"link set {link} type bridge_slave {alone}" for link in ports if os.path.exists(f"{_LINKS}/{link}/brport")])
        inner = [(link, guard.hardware(ends[link]["address"])) for link in ports if os.path.exists(f"{_LINKS}/{link}/brport")]
        _batch("bridge", [f"fdb replace {address} dev {link} master static" for link, address in inner])
        listed = {link: _listed([link]) if link in new else intact[link] for link in wanted}
        _keep("filters", {"wanted": state, "listed": listed})
    return [f"filter of {link}" for link in new]


def _limit(links: t.Container[str], pods: t.Mapping[str, Pod]) -> None:
    """What these pods may send. What they may receive is limited at the robot's end of their links."""
    for id, pod in pods.items():
        if files.link(id) in links:
            options = ["-netns", os.path.basename(f"{plan.NETWORKS}{id}")]
            _batch("tc", [guard.bandwidth(link.INSIDE, pod.get("mbits", 0))], "inside", options)


def _is_limited(state: t.Sequence[str]) -> bool:
    return any(" tbf " in line for line in state)


def _wanted(id: str, pods: t.Mapping[str, Pod]) -> list[str]:
    filters = guard.at_pod(files.link(id), pods[id]["address"], pods[id].get("address6", ""))
    return [*filters, guard.bandwidth(files.link(id), pods[id].get("mbits", 0))]


def _state(link: str, number: str, lines: t.Sequence[str]) -> list[str]:
    """A filter leads to the bridge by its number. A port is told more than a link that is none yet."""
    return [number, _index(link), *_port(link), *lines]


def _index(link: str) -> str:
    return _read(f"{_LINKS}/{link}/ifindex")


def _port(link: str) -> list[str]:
    return ["port"] if os.path.exists(f"{_LINKS}/{link}/brport") else []


def _alone(link: str) -> bool:
    """Whether nothing goes from this port of a bridge to another; also what is none."""
    isolated = f"{_LINKS}/{link}/brport/isolated"
    return not os.path.exists(isolated) or _read(isolated) == "1"


def _intact(links: t.Iterable[str], listed: t.Mapping[str, str]) -> dict[str, str]:
    """Of these links, those whose filters are as they were ``listed`` when they were made, each with that list."""
    known = {link: listed[link] for link in links if link in listed}
    # Mostly nothing has changed. tc does not say whose filters it lists, so it is asked once for all, and then for each.
    if not known or _listed(known) == "".join(known.values()):
        return known
    return {link: text for link, text in known.items() if _listed([link]) == text}


def _listed(links: t.Iterable[str]) -> str:
    """The filters of some links in tc's own words; nothing of those that have none."""
    return _batch("tc", [f"filter show dev {link} ingress" for link in links], "listing")


def _settings(pods: t.Mapping[str, Pod]) -> list[str]:
    """What the kernel is told about the bridge. Only behind the filter there may it route to the loopback, for answers that go there."""
    here = f"ipv4/conf/{plan.BRIDGE}"
    wanted = {
        "ipv4/ip_forward": "1",
        f"{here}/route_localnet": "1" if rules.published(pods) else "0",
        # A source is looked up with the mark: without, the rules for routing let no way lead back.
        f"{here}/src_valid_mark": "1",
        f"{here}/rp_filter": "1",
        f"{here}/accept_redirects": "0",
        f"{here}/send_redirects": "0",
        f"{here}/proxy_arp": "0",
        **bridge.wanted(pods),
    }
    if not os.path.isdir(f"{settings.SETTINGS}/{here}"):
        return []
    others = {name: value for name, value in wanted.items() if settings.read(name) not in ("", value)}
    if others:
        settings.configure(others)
    return sorted(others)


def _batch_six(lines: t.Sequence[str]) -> None:
    _batch("ip", lines, "ip6", ["-6"])


def _batch(program: str, lines: t.Sequence[str], called: str = "", options: t.Sequence[str] = ()) -> str:
    """Many commands by one process, and what it says; the first that fails ends it. ``called``: the file with them."""
    if not lines:
        return ""
    path = f"{STATE}/{called or program}"
    _have(path, "".join(f"{line}\n" for line in lines).encode("ascii"))
    return command.need([program, *options, "-batch", path], timeout=_PATIENCE)


def _have(path: str, content: bytes) -> None:
    """Where all is well, nothing is written: there may be no room."""
    try:
        with open(path, "rb") as stream:
            if stream.read() == content:
                return
    except FileNotFoundError:
        pass
    disk.replace(path, content)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()


def _kept(name: str) -> t.Any:
    try:
        with open(f"{STATE}/{name}", encoding="utf-8") as stream:
            return jsontext.loads(stream.read())
    except (OSError, ValueError):
        return None


def _keep(name: str, what: object) -> None:
    _have(f"{STATE}/{name}", jsontext.dumps(what).encode("utf-8"))


def main() -> None:
    """Say what was put right: the first time all of it, and then what somebody has removed."""
    try:
        # Pods follow their robot into another network also where a wall cannot be put up.
        try:
            found = ensure()
        finally:
            names.refresh()
    except (CommandFailed, OSError) as error:
        raise SystemExit(str(error)) from None
    if found:
        sys.stderr.write(f"put right: {', '.join(found)}\n"[:2000])
