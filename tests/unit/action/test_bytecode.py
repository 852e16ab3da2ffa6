# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible loads of the controller is compiled once, and not again in every run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

from tests.lint.tools import CHECKOUT

PROGRAM = """
import json, sys
from ansible.plugins.loader import action_loader, init_plugin_loader
init_plugin_loader([sys.argv[1]])
assert action_loader.get("k8s4r.robot.compile", class_only=True).ARGUMENTS
ours = [module for name, module in sys.modules.items() if "k8s4r" in name and str(getattr(module, "__file__", "")).endswith(".py")]
print(json.dumps({module.__name__: module.__spec__.cached for module in ours}))
"""


def test_an_action_is_imported_from_bytecode(tmp_path):
    collection = tmp_path / "ansible_collections" / "k8s4r" / "robot"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("plugins", "meta"):
        shutil.copytree(CHECKOUT / folder, collection / folder, ignore=ignored)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", PROGRAM, tmp_path]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    cached = json.loads(done.stdout)
    utilities = "ansible_collections.k8s4r.robot.plugins.plugin_utils."
    assert [name for name in cached if name.startswith(utilities)] == [utilities + "bytecode"]
    loaded = {name: path for name, path in cached.items() if name.startswith("k8s4r_robot.")}
    assert "k8s4r_robot.plugin_utils.compile.group" in loaded
    assert [name for name, path in loaded.items() if not os.path.exists(path)] == []
