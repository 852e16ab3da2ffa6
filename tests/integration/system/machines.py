# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on a machine with a kernel of its own have in common, whatever runs that kernel."""

from __future__ import annotations

import time
import typing as t

import pytest

from tests.integration.deploy.harness import Deployment
from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed

VM = "vm1"


class Patient(Deployment):
    """On a busy host an emulated robot may be slower than a run waits for; then the robot goes on, and the next run too."""

    def run(self, playbook, *arguments, **variables):
        for _run in range(6):
            run = super().run(playbook, *arguments, **variables)
            if not any(words in run.output for words in ("gave no answer within", "is changing this robot")):
                return run
            time.sleep(10)
        return run


def fixtures(name: str, kind: str) -> tuple[t.Any, t.Any, t.Any]:
    """For a package: ``fleet``, a machine of this kind and a container with the SPIRE server beside it; ``machine``, the former with
    nothing of ours on it; and ``deployment``, by which jobs are deployed to it. ``name``: a word for the fleet.
    """

    @pytest.fixture(scope="package")
    def fleet():
        server = RobotSpec("server1", labels={"role": "server"})
        with borrowed(name, [server, RobotSpec(VM, kind=kind, labels={"role": "vm"})]) as fleet:
            yield fleet

    @pytest.fixture
    def machine(fleet):
        machine = Machine(fleet, VM)
        machine.clean()
        return machine

    @pytest.fixture(scope="package")
    def deployment(fleet, tmp_path_factory):
        directory = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("K8S4R_HOME", str(directory / "controller"))
            patch.chdir(directory)
            yield Patient(fleet, directory)

    return fleet, machine, deployment
