# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as it was before what a robot keeps had a version, built from the history."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
COMMIT = "3f63d5c"


def build(directory: pathlib.Path) -> pathlib.Path:
    """Put it below a directory, in which Ansible then finds it."""
    collection = directory / "ansible_collections" / "k8s4r" / "robot"
    collection.mkdir(parents=True)
    archived = subprocess.run(["git", "archive", COMMIT], cwd=CHECKOUT, capture_output=True, check=False)
    assert archived.returncode == 0, (
        f"the history does not hold {COMMIT}; in a shallow clone: git fetch --unshallow\n{archived.stderr.decode()}"
    )
    subprocess.run(["tar", "-x", "-C", str(collection)], input=archived.stdout, check=True)
    return directory


def engine(directory: pathlib.Path) -> tuple[str, bytes]:
    """Its engine's digest and archive."""
    program = (
        "import sys; from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing; engine = packing.engine();"
        "sys.stdout.buffer.write(engine.digest.encode() + engine.archive())"
    )
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    return done.stdout[:32].decode(), done.stdout[32:]
