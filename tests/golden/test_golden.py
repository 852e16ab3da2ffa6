# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiler's output, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import golden


@pytest.mark.parametrize("name", golden.names())
def test_plan_is_as_expected(name):
    expected = (golden.CASES / name / "expected.txt").read_text(encoding="utf-8")
    assert golden.render(golden.compile_case(name)) == expected


@pytest.mark.parametrize("seed", ["1", "2"])
def test_same_input_gives_same_bytes_in_every_process(seed):
    """Sets and hashes have another order in a process with another seed."""
    program = "from tests import golden; print(end=''.join(golden.render(golden.compile_case(name)) for name in golden.names()))"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "".join((golden.CASES / name / "expected.txt").read_text(encoding="utf-8") for name in golden.names())
