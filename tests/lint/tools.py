# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this Python's environment, run on the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run(command: list[str], seconds: float, telling: str = "") -> str:
    """Run a program of this Python's environment on the checkout, and return what it prints.

    Where it fails, that is the failure's text. Of a long one only the end may be read: the lines in which ``telling``, a regular
    expression, is found are repeated there.
    """
    variables = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"),
        "ANSIBLE_HOME": str(CHECKOUT / ".ansible"),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"
        repeated = [line for line in said.splitlines() if telling and re.search(telling, line)]
        pytest.fail("\n".join([f"{' '.join(command)}: exit status {done.returncode}", said, *repeated]), pytrace=False)
    return done.stdout + done.stderr
