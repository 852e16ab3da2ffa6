# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters: where a proxy sends what it accepted."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..job.declare.keys import Secret
from ..job.model.vocabulary import Protocol
from .tls import Data, http2, typed

ALPN: t.Mapping[Protocol, tuple[str, ...]] = {Protocol.TCP: (), Protocol.HTTP: ("http/1.1",), Protocol.GRPC: ("h2",)}
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


class Address(t.NamedTuple):
    """A host (name or address, without brackets) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`host:port`, an IPv6 address in brackets; raises ValueError with what is wrong."""
        found = "the secret" if isinstance(text, Secret) else repr(text)
        host, _colon, port = text.rpartition(":")
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise ValueError(f"{found} is not host:port with a port from 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            try:
                address = ipaddress.IPv6Address(host[1:-1])
            except ValueError:
                raise ValueError(f"{found} holds no IPv6 address in its brackets") from None
            if address.ipv4_mapped:
                remedy = "the IPv4 address itself" if isinstance(text, Secret) else f"{address.ipv4_mapped}:{port}"
                raise ValueError(f"{found} holds an IPv4 address in IPv6; write {remedy}")
            return cls(str(address), int(port))
        if not host or ":" in host or "[" in host or "]" in host:
            raise ValueError(f"{found} is not host:port; an IPv6 address stands in brackets, [::1]:5432")
        if re.fullmatch("[0-9.]+", host):
            try:
                ipaddress.IPv4Address(host)
            except ValueError:
                raise ValueError(f"{found} holds no IPv4 address; write four numbers from 0 to 255, 192.0.2.1:5432") from None
        elif not _HOST.fullmatch(host) or len(host.removesuffix(".")) > 253:
            raise ValueError(f"{found} holds no host name; write letters, digits, - and _, at most 63 between dots and 253 in all")
        return cls(host, int(port))

    @property
    def numeric(self) -> bool:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def socket_address(address: Address) -> Data:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


# A robot often has IPv6 link-local only: an AAAA answer alone must not hide a working A. A name is asked for every half
# minute, because each question may cross a paid link; sooner while there is no answer.
_DNS = {
    "name": "envoy.clusters.dns",
    "typed_config": typed(
        "extensions.clusters.dns.v3.DnsCluster",
        dns_lookup_family="V4_PREFERRED",
        dns_refresh_rate="30s",
        dns_failure_refresh_rate={"base_interval": "1s", "max_interval": "30s"},
    ),
}


def cluster(name: str, address: Address, protocol: Protocol, transport_socket: Data | None = None) -> Data:
    """A cluster of one address; names are resolved again by Envoy for as long as it runs."""
    data: Data = {
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(address)}}]}],
        },
        **({"type": "STATIC"} if address.numeric else {"cluster_type": _DNS}),
    }
    if protocol is Protocol.GRPC:
        data["typed_extension_protocol_options"] = http2()
    if transport_socket:
        data["transport_socket"] = transport_socket
    return data


def resources(kind: str, items: t.Iterable[Data]) -> Data:
    """The content of a file that Envoy watches: `kind` is the resource's type behind the `envoy.` package."""
    return {"resources": [{**typed(kind), **item} for item in items]}
