# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host and a port, as job files write them and as Envoy reads them."""

from __future__ import annotations

import functools
import ipaddress
import re
import typing as t

from ..job.declare.keys import Secret
from .tls import Data

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


class Address(t.NamedTuple):
    """A host (name or address, without brackets) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads `host:port`, with an IPv6 address in brackets. Raises ValueError with what is wrong; a secret is not shown."""
        found = "the secret" if isinstance(text, Secret) else repr(text)
        host, _colon, port = text.rpartition(":")
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise ValueError(f"{found} is not host:port with a port from 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            try:
                address = ipaddress.IPv6Address(host[1:-1])
            except ValueError:
                raise ValueError(f"{found} has no valid IPv6 address in its brackets") from None
            if address.ipv4_mapped:
                remedy = "the IPv4 address itself" if isinstance(text, Secret) else f"{address.ipv4_mapped}:{port}"
                raise ValueError(f"{found} is an IPv4 address written as IPv6; write {remedy}")
            return cls(str(address), int(port))
        if not host or ":" in host or "[" in host or "]" in host:
            raise ValueError(f"{found} is not host:port; write an IPv6 address in brackets, as in [::1]:5432")
        if re.fullmatch("[0-9.]+", host):
            try:
                ipaddress.IPv4Address(host)
            except ValueError:
                raise ValueError(f"{found} has no valid IPv4 address; write four numbers from 0 to 255, as in 192.0.2.1:5432") from None
        elif not _NAME.fullmatch(host) or len(host.removesuffix(".")) > 253:
            allowed = "letters, digits, - and _, at most 63 characters between two dots and 253 in all"
            raise ValueError(f"{found} has no valid host name; write {allowed}")
        return cls(host, int(port))

    @property
    def numeric(self) -> bool:
        """Whether the host is an address, not a name."""
        return _numeric(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# The robots of a fleet have most hosts in common.
@functools.lru_cache(maxsize=4096)
def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def socket_address(address: Address) -> Data:
    """`::` is every address, of both families."""
    both = {"ipv4_compat": True} if address.host == "::" else {}
    return {"socket_address": {"address": address.host, "port_value": address.port, **both}}
