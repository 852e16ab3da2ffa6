# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiler's output, byte for byte."""

from __future__ import annotations

import pytest

from tests import golden


@pytest.mark.parametrize("name", golden.names())
def test_plan_is_as_expected(name):
    expected = (golden.CASES / name / "expected.txt").read_text(encoding="utf-8")
    assert golden.render(golden.compile_case(name)) == expected


@pytest.mark.parametrize("name", golden.names())
def test_same_input_gives_same_bytes(name):
    assert golden.compile_case(name) == golden.compile_case(name)
