# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on a machine with a kernel of its own have in common, whatever runs that kernel."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.deploy.harness import Deployment
from tests.robots import Fleet, RobotSpec, borrowed

VM = "vm1"


def with_server(fleet: str, kind: str) -> contextlib.AbstractContextManager[Fleet]:
    """A machine of this kind, and a container with the SPIRE server beside it."""
    return borrowed(fleet, [RobotSpec("server1", labels={"role": "server"}), RobotSpec(VM, kind=kind, labels={"role": "vm"})])


class Patient(Deployment):
    """On a busy host an emulated robot may be slower than a run waits for; then the robot goes on, and the next run too."""

    def run(self, playbook, *arguments, **variables):
        for _run in range(6):
            run = super().run(playbook, *arguments, **variables)
            if not any(words in run.output for words in ("gave no answer within", "is changing this robot")):
                return run
            time.sleep(10)
        return run


@contextlib.contextmanager
def patient(fleet: Fleet, directory: Path) -> Iterator[Patient]:
    """Deployments from a controller that keeps what it knows in this directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("K8S4R_HOME", str(directory / "controller"))
        patch.chdir(directory)
        yield Patient(fleet, directory)
