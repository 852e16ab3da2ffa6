# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of extensions/molecule, one after another on the same robots, from bare machines to none."""

from __future__ import annotations

import pytest

from tests.lint.tools import run


@pytest.mark.robots
def test_all_scenarios():
    said = run(["make", "molecule"], seconds=3600, telling="fatal: |FAILED! |failed: ")
    # To molecule a step without its playbook is a step well done.
    assert "Missing playbook" not in said, said
