# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiler's output, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import golden
from tests.golden import render


@pytest.mark.parametrize("name", golden.names())
def test_plan_is_as_expected(name):
    assert golden.text(name) == (golden.CASES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("seed", ["1", "2"])
def test_same_input_gives_same_bytes_in_every_process(seed):
    """Sets and hashes have another order in a process with another seed."""
    program = "import json; from tests import golden; print(json.dumps({name: golden.whole(name) for name in golden.names()}))"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {name: golden.whole(name) for name in golden.names()}


def test_debian_12_gets_the_units_of_debian_13(monkeypatch):
    """So what is not about systemd itself need not be tried on both: see ENDS in tests/integration/compile/conftest.py."""
    middle = {name: golden.whole(name) for name in golden.names()}
    robots = (robot._replace(capabilities={**robot.capabilities, "systemd": "257"}) for robot in golden.FLEET.robots)
    monkeypatch.setattr(golden, "FLEET", golden.FLEET._replace(robots=tuple(robots)))
    assert {name: golden.whole(name) for name in golden.names()} == middle


def test_differences_name_the_resource_and_one_line_around():
    before = ["file a", "  | one", "  | two", "  | three", "  | four", "file b"]
    after = ["file a", "  | one", "  | two", "  | 3", "  | four", "file b", "file c"]
    assert render.differences(before, after) == [
        *("  file a", "      ...", "    | two", "-   | three", "+   | 3", "    | four"),
        *("  file b", "+ file c"),
    ]


def test_json_that_is_not_in_its_one_spelling_is_found():
    with pytest.raises(AssertionError):
        render._content({"path": "a.json", "content": '{"b": 1}\n'})
