# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot's own DNS server answers: it is known from the files of pods, and from those of services, and written as dnsmasq reads it.

Addresses are in a file that dnsmasq reads again when it is asked to; ports (SRV) in its configuration, for which it must be restarted.
What is written comes from names and addresses that have been checked.
"""

from __future__ import annotations

import os
import re

from .. import plan
from ..pods import addresses as pod_addresses
from ..pods import files
from ..state import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..pods.files import Pod

    class Endpoint(t.TypedDict):
        address: str

    class Service(t.TypedDict):
        """What is in the file of a service, as JSON, with the ``version`` of its form (state/formats.py). ``name`` is its own, below the
        ``domain``. ``loopback``: whether the server answers at the robot's loopback, too.
        """

        domain: str
        name: str
        port: int
        loopback: bool
        endpoints: list[Endpoint]

    class Known(t.TypedDict):
        """By the names of their files; of pods, those whose robot has the server."""

        pods: dict[str, Pod]
        services: dict[str, Service]


DIRECTORY = plan.CONFIGURATION + "/dns"
HOSTS, CONFIGURATION = DIRECTORY + "/hosts", DIRECTORY + "/dnsmasq.conf"
RUNTIME = plan.RUNTIME + "/dns"
PID = RUNTIME + "/pid"
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62})*")
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*(\.[0-9]{1,3}){0,3}")


def described(pods: str = plan.PODS, names: str = plan.NAMES) -> Known:
    """What the robot's files say now. One that is damaged keeps no other from its name."""
    found = {}
    for name in sorted(os.listdir(names)) if os.path.isdir(names) else ():
        # A file that is on its way has a name with a dot in front.
        if not name.startswith("."):
            with open(f"{names}/{name}", encoding="utf-8", errors="replace") as stream:
                found[name] = _parsed(stream.read())
    return _known(files.described(pods), found)


def coming(resources: t.Iterable[Resource], read: t.Callable[[str], bytes]) -> Known:
    """The same of resources. ``read``: the content of a digest."""
    resources = list(resources)
    found = {}
    for resource in resources:
        path = resource.get("path", "")
        if path.startswith(plan.NAMES + "/"):
            found[path[len(plan.NAMES) + 1 :]] = _parsed(read(resource["digest"]).decode("utf-8"))
    return _known(pod_addresses.pods(resources, read), found)


def together(now: Known, coming: Known) -> Known:
    """What is new has a name before it starts. What has one already keeps its answer until all of the switch has succeeded."""
    named = {_full(service) for service in now["services"].values()}
    new = {id: service for id, service in coming["services"].items() if _full(service) not in named}
    return {"pods": {**coming["pods"], **now["pods"]}, "services": {**new, **now["services"]}}


def listens(known: Known) -> list[str]:
    """The addresses at which somebody is to be answered; none where there is no need for a server."""
    pods, services = known["pods"].values(), known["services"].values()
    loopback = any(pod["dns"].get("loopback") for pod in pods) or any(service["loopback"] for service in services)
    return sorted({files.gateway(pod["range"]) for pod in pods}) + ([plan.LOOPBACK_DNS] if loopback else [])


def hosts(known: Known) -> str:
    """Addresses with their names. The first name of an address is the one that an address is asked for."""
    rows = []
    for _id, pod in sorted(known["pods"].items()):
        name = f"{pod['name']}.pod.{pod['dns']['domain']}"
        rows += [(address, name) for address in (pod["address"], pod.get("address6")) if address]
    rows += _of_other_robots(known)
    for service in _sorted(known):
        rows += [(each["address"], _full(service)) for each in service["endpoints"]]
    return "".join(f"{address} {name}\n" for address, name in dict.fromkeys(rows))


def _of_other_robots(known: Known) -> list[tuple[str, str]]:
    """Their pods. Groups are deployed at different times: where the robot has pods of a group itself, these know best where the others
    are. A name that one of its own pods has is that pod's alone.
    """
    pods = [pod for _id, pod in sorted(known["pods"].items())]
    own, here = {pod["name"] for pod in pods}, {pod["group"] for pod in pods}
    return [
        (address, f"{name}.pod.{pod['dns']['domain']}")
        for pod in pods
        for group, others in sorted(pod["dns"].get("pods", {}).items())
        if group == pod["group"] or group not in here
        for name, addresses in sorted(others.items())
        if name not in own
        for address in addresses
    ]


def configuration(known: Known, listens: t.Iterable[str]) -> str:
    """All but the addresses of names. Names that end like ours are asked of nobody else. ``listens``: where the server answers."""
    domains = {pod["dns"]["domain"] for pod in known["pods"].values()} | {service["domain"] for service in known["services"].values()}
    named = [(_full(service), service["port"]) for service in _sorted(known)]
    lines = [
        f"pid-file={PID}",
        # The robot's own /etc/hosts calls its loopback names that pods take for theirs.
        *("no-hosts", f"addn-hosts={HOSTS}"),
        # The bridge comes with the first pod.
        *("bind-dynamic", *(f"listen-address={address}" for address in sorted(listens))),
        *(f"local=/{kind}.{domain}/" for domain in sorted(domains) for kind in ("pod", "svc")),
        *(f"srv-host={name},{name},{port}" for name, port in dict.fromkeys(named)),
    ]
    return "".join(f"{line}\n" for line in lines)


def _sorted(known: Known) -> list[Service]:
    return [service for _id, service in sorted(known["services"].items())]


def _full(service: Service) -> str:
    return f"{service['name']}.{service['domain']}"


def _known(pods: t.Mapping[str, Pod], services: t.Mapping[str, Service | None]) -> Known:
    return {
        "pods": {id: pod for id, pod in pods.items() if pod["dns"].get("domain") and _is_sound(pod)},
        "services": {id: service for id, service in services.items() if service},
    }


def _is_sound(pod: Pod) -> bool:
    try:
        files.network(pod["range"])
        others = [each for group in pod["dns"].get("pods", {}).values() for each in group.items()]
        written = [pod["address"], pod.get("address6", pod["address"]), *(address for _name, found in others for address in found)]
    except (ValueError, AttributeError, TypeError):
        return False
    return all(map(_is_name, (pod["name"], pod["dns"]["domain"], *(name for name, _found in others)))) and all(map(_is_address, written))


def _parsed(text: str) -> Service | None:
    try:
        found = formats.read(plan.NAMES, "service", text)
        sound = (
            _is_name(found["name"])
            and _is_name(found["domain"])
            and isinstance(found["port"], int)
            and 0 < found["port"] < 65536
            and isinstance(found["loopback"], bool)
            and all(_is_address(each["address"]) for each in found["endpoints"])
        )
    except (formats.Unread, ValueError, LookupError, TypeError):
        return None
    return found if sound else None


def _is_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _is_address(text: object) -> bool:
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None
