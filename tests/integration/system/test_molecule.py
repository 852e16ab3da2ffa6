# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of extensions/molecule, from bare machines to none."""

from __future__ import annotations

import pytest

from tests.lint.tools import CHECKOUT, run

SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("extensions/molecule/*/molecule.yml"))


@pytest.mark.robots
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario):
    run(["molecule", "test", "--scenario-name", scenario], seconds=1500)
