# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as users write them, or as substitution makes them."""

from __future__ import annotations

import re

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.envoy.address import Address
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret

LONGEST = ".".join(["x" * 63, "x" * 63, "x" * 63, "x" * 61])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1:80", Address("192.0.2.1", 80)),
        ("[2001:DB8::0:1]:65535", Address("2001:db8::1", 65535)),
        ("robot-1.example:1", Address("robot-1.example", 1)),
        ("my_host.:80", Address("my_host.", 80)),
        ("1a.2:80", Address("1a.2", 80)),
        (f"{LONGEST}.:80", Address(f"{LONGEST}.", 80)),
    ],
)
def test_addresses(text, address):
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("999.1.1.1:80", "has no valid IPv4 address"),
        ("127.1:80", "has no valid IPv4 address"),
        ("2130706433:80", "has no valid IPv4 address"),
        ("127.0.0.1.:80", "has no valid IPv4 address"),
        ("0177.0.0.1:80", "has no valid IPv4 address"),
        (".:80", "has no valid IPv4 address"),
        ("robot@x:80", "has no valid host name"),
        ("röbot:80", "has no valid host name"),
        ("a b:80", "has no valid host name"),
        ("a..b:80", "has no valid host name"),
        ("a/b:80", "has no valid host name"),
        ("a\n:80", "has no valid host name"),
        ("x" * 64 + ":80", "has no valid host name"),
        (f"{LONGEST}x:80", "has no valid host name"),
        ("[::ffff:127.0.0.1]:80", "is an IPv4 address written as IPv6; write 127.0.0.1:80"),
        ("[0:0:0:0:0:FFFF:7f00:2]:80", "is an IPv4 address written as IPv6; write 127.0.0.2:80"),
        ("[x]:80", "has no valid IPv6 address in its brackets"),
        ("::1:80", "is not host:port; write an IPv6 address in brackets, as in [::1]:5432"),
        ("[::1:80", "is not host:port; write an IPv6 address in brackets, as in [::1]:5432"),
        (":80", "is not host:port; write an IPv6 address in brackets, as in [::1]:5432"),
        ("h:65536", "is not host:port with a port from 1 to 65535"),
        ("h:٣", "is not host:port with a port from 1 to 65535"),
        ("h:" + "1" * 5000, "is not host:port with a port from 1 to 65535"),
        ("h", "is not host:port with a port from 1 to 65535"),
    ],
)
def test_no_addresses(text, wrong):
    with pytest.raises(ValueError, match="^" + re.escape(f"{text!r} {wrong}")):
        Address.parse(text)


@pytest.mark.parametrize("text", ["s3cret", "s3:cret:80", "s3@cret:80", "[s3cret]:80", "[::ffff:127.0.0.1]:80", "999.1.1.1:80"])
def test_a_secret_is_not_shown(text):
    with pytest.raises(ValueError, match=r"^the secret (is|has) ") as raised:
        Address.parse(Secret(text))
    assert not any(part in str(raised.value) for part in ("s3", "127.0.0.1", "999"))
