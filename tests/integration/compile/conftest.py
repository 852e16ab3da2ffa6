# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot of each systemd that the compiler's output must work on."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.integration.compile.looks import Once
from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed

# Debian 11, 12 and 13: systemd 247, 252 and 257.
DISTROS = ("bullseye", "bookworm", "trixie")

ENVOY = "/opt/k8s4r/bin/envoy"


@pytest.fixture(scope="session")
def distros():
    with borrowed("compile", [RobotSpec(distro, distro) for distro in DISTROS]) as fleet:
        yield fleet


@pytest.fixture(params=DISTROS)
def machine(request, distros):
    machine = Machine(distros, request.param)
    machine.clean()
    return machine


@pytest.fixture(scope="session")
def looked() -> dict[str, Once]:
    return {}


@pytest.fixture
def found(looked, request, machine):
    """What the tasks of a test file found on the machine: its `look` is called once for each."""
    return looked.setdefault(request.module.__name__, Once(request.module.look)).found(machine)


@pytest.fixture
def envoy(machine):
    """The machine with Envoy from the local mirror, in the place where provisioning puts it."""
    variables = json.loads(machine.fleet.inventory.read_text())["all"]["vars"]
    version = variables["envoy_version"]
    source = f"{variables['envoy_mirror_url']}/envoyproxy/envoy/releases/download/v{version}/envoy-{version}-linux-x86_64"
    fetch = f"import urllib.request; urllib.request.urlretrieve({source!r}, {ENVOY!r})"
    machine.sh(f"[ -x {ENVOY} ] || (mkdir -p /opt/k8s4r/bin && python3 -c {shlex.quote(fetch)} && chmod 755 {ENVOY})")
    return machine
