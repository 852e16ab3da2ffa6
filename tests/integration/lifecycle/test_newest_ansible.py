# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest ansible-core, on a controller with a newer Python than ours, does what the oldest one does."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.integration.deploy.harness import Deployment
from tests.robots import controller

pytestmark = pytest.mark.robots


class NewestAnsible(Deployment):
    """ansible-playbook on a controller of its own, which is on the robots' network and on no other."""

    def start(self, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if name.startswith("K8S4R_")}
        words = ("ansible-playbook", *arguments)
        command = controller.command(*words, network=self.fleet.full_name, environment={**ours, **environment}, hidden=self.fleet.control)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_a_job_from_bare_robots_to_its_removal(bare):
    lifecycle = bare("newest", NewestAnsible, distro="trixie")
    lifecycle.from_bare()
    lifecycle.listens_at_every_address()
    lifecycle.waits_for_identity()
    lifecycle.unchanged()
    lifecycle.change()
    lifecycle.rollback()
    lifecycle.remove()
    assert not lifecycle.complaints()
