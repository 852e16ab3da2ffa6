# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs to which ours are compared are those of a real consul-template."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest

from tests.robots.mirror import consul_template

CASES = pathlib.Path(__file__).parents[2] / "unit/plugin_utils/consul_template/cases.json"
FOUND = json.loads(CASES.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case", [case for case in FOUND["cases"] if "gives" in case or "fails" in case], ids=lambda case: case["template"][:40]
)
def test_a_real_one_makes_the_same_of_a_template(case, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text(case["template"], encoding="utf-8")
    argv = [consul_template.program(), "-once", "-log-level=err", "-template", f"{source}:{target}"]
    done = subprocess.run(argv, env=FOUND["environment"], capture_output=True, check=False, timeout=60)
    if case.get("fails"):
        assert done.returncode
    elif "gives" in case:
        assert done.returncode == 0, done.stderr
        assert (target.read_text(encoding="utf-8") if target.exists() else "") == case["gives"]
