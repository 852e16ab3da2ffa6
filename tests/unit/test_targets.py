# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of this repository that no test runs to their end start the way the Makefile starts them."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
# "	PYTHONPATH=build python -m tests.bench ...": what is set, and the module.
STARTS = re.compile(r"^\t(?:PYTHONPATH=(?P<path>\S+) )?python -m (?P<module>tests\.\w+)", re.MULTILINE)
PROGRAMS = {found["module"]: found["path"] for found in STARTS.finditer((CHECKOUT / "Makefile").read_text())}


def test_the_makefile_starts_some() -> None:
    assert {"tests.bench", "tests.demo", "tests.robots", "tests.sanity"} <= PROGRAMS.keys()


@pytest.mark.parametrize("module", ["tests.bench", "tests.demo", "tests.robots"])
def test_a_program_starts(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if PROGRAMS[module]:
        environment["PYTHONPATH"] = str(CHECKOUT / PROGRAMS[module])
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
