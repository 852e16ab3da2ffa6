# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot with the processor that robots have: agent, Envoy and a job with an upstream on arm64, beside a server on amd64."""

from __future__ import annotations

import pytest

from tests.integration.system.machines import Patient

pytestmark = [pytest.mark.vm, pytest.mark.arm64]


def test_a_job_from_a_bare_robot_to_its_removal(bare):
    lifecycle = bare("arm64", Patient, kind="vm", arch="arm64")
    assert lifecycle.sh("uname -m") == "aarch64\n"
    lifecycle.from_bare(seconds=180)
    lifecycle.unchanged()
    lifecycle.change()
    lifecycle.remove()
