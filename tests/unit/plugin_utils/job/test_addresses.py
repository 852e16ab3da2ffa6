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


@pytest.mark.parametrize(("first", "second"), list(itertools.product(("127.0.0.1", "127.0.0.2", "0.0.0.0"), repeat=2)))
def test_the_kernel_agrees(first, second):
    with socket.socket() as one, socket.socket() as other:
        one.bind((first, 0))
        try:
            other.bind((second, one.getsockname()[1]))
            shared = True
        except OSError:
            shared = False
    assert shared is not addresses.clash(first, second)
