# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two listeners cannot share a port: the controller and the engine, which has its own copy, are of one mind."""

from __future__ import annotations

import itertools
import socket

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import ports
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job import addresses

ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::", "192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize("pair", list(itertools.product(ADDRESSES, repeat=2)))
def test_controller_and_engine_agree(pair):
    assert addresses.clash(*pair) == ports.clash(*pair) == addresses.clash(*reversed(pair))


def shares_a_port(first: str, second: str) -> bool:
    with socket.socket() as one, socket.socket() as other:
        one.bind((first, 0))
        try:
            other.bind((second, one.getsockname()[1]))
        except OSError:
            return False
        return True


@pytest.mark.parametrize(("first", "second"), list(itertools.product(("127.0.0.1", "127.0.0.2", "0.0.0.0"), repeat=2)))
def test_the_kernel_agrees(first, second):
    # Somebody else may happen to have that port at the second address.
    shared = any(shares_a_port(first, second) for _port in range(5))
    assert shared is not addresses.clash(first, second)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("FD12:3456:0:0::10", "fd12:3456::10"),
        ("[fd12:3456::10]", "fd12:3456::10"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("Robot.example", "Robot.example"),
    ],
)
def test_an_address_has_one_spelling(written, same):
    assert addresses.plain(written) == same


def test_so_has_an_address_with_a_port():
    """As in `k8s4r_peers`."""
    assert addresses.plain_port("[FD12:3456:0:0::10]:80") == "[fd12:3456::10]:80"
    assert addresses.plain_port("api.example:443") == "api.example:443"
