# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every golden case is accepted by the real systemd-analyze, with nothing said, and by the real Envoy."""

from __future__ import annotations

import json
import shlex

import pytest

from tests import golden
from tests.robots import identity

ENVOY = "/opt/k8s4r/bin/envoy"
CASE = "/run/case"
UNPACK = f"set -e; rm -rf {CASE}; mkdir {CASE}; cd {CASE}; tar -xm"


def packed(files: dict[str, str]) -> bytes:
    """Files of one directory as UNPACK takes them: an SSH command for each would take longer than what is tested."""
    return identity.as_tar({name: (0o644, content.encode()) for name, content in files.items()})


@pytest.fixture
def envoy(machine):
    """The machine with Envoy from the local mirror, in the place where provisioning puts it."""
    variables = json.loads(machine.fleet.inventory.read_text())["all"]["vars"]
    version = variables["envoy_version"]
    source = f"{variables['envoy_mirror_url']}/envoyproxy/envoy/releases/download/v{version}/envoy-{version}-linux-x86_64"
    fetch = f"import urllib.request; urllib.request.urlretrieve({source!r}, {ENVOY!r})"
    machine.sh(f"[ -x {ENVOY} ] || (mkdir -p /opt/k8s4r/bin && python3 -c {shlex.quote(fetch)} && chmod 755 {ENVOY})")
    return machine


@pytest.mark.parametrize("name", golden.names())
def test_units_are_verified_in_silence(machine, name):
    for compiled in golden.compile_case(name).values():
        for group in golden.groups(compiled):
            units = {resource["name"]: resource["content"] for resource in group["resources"] if resource["kind"] == "unit"}
            said = machine.execute(f"{UNPACK}; SYSTEMD_LOG_LEVEL=warning systemd-analyze verify {' '.join(units)}", packed(units))
            # Programs of the case are not on the robot: what is verified is the unit.
            complaints = [line for line in said.stderr.splitlines() if "is not executable" not in line and "User lookup" not in line]
            assert complaints == []


@pytest.mark.parametrize("name", golden.names())
def test_envoy_accepts_its_configuration(envoy, name):
    for compiled in golden.compile_case(name).values():
        for check in (check for group in golden.groups(compiled) for check in group["checks"]):
            argv = [argument.replace("{dir}", CASE).replace("error", "warning") for argument in check["argv"]]
            said = envoy.execute(f"{UNPACK}; {shlex.join(argv)}", packed(check["files"]))
            assert said.status == 0, said
            assert "deprecated" not in (said.stdout + said.stderr).lower()
