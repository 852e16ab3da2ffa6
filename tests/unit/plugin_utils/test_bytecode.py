# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible finds the controller's modules with the bytecode that an earlier run left."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from tests.lint.tools import CHECKOUT

PROGRAM = """
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job import errors
print(errors.__cached__)
"""


def test_bytecode_is_kept(tmp_path):
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    kept = pathlib.Path(done.stdout.strip())
    assert kept.is_file()
    assert kept.is_relative_to(tmp_path)
