# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of User-mode Linux, for what only a kernel of its own can show."""

from __future__ import annotations

import pytest

from tests.integration.engine.harness import Machine
from tests.integration.system.machines import VM, patient, with_server


@pytest.fixture(scope="package")
def fleet():
    with with_server("system", "uml") as fleet:
        yield fleet


@pytest.fixture
def machine(fleet):
    machine = Machine(fleet, VM)
    machine.clean()
    return machine


@pytest.fixture(scope="package")
def deployment(fleet, tmp_path_factory):
    with patient(fleet, tmp_path_factory.mktemp("system")) as deployment:
        yield deployment
