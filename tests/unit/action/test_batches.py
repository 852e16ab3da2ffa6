# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play whose robots come in batches is refused before any of them is asked."""

from __future__ import annotations

import json
import os

import pytest

from tests import loaded
from tests.lint.tools import CHECKOUT


@pytest.mark.parametrize(("batch", "words"), [({"serial": 1}, "the play has the keyword `serial`"), ({}, "no job given")])
def test_a_run_is_not_divided(tmp_path, batch, words):
    hosts = {name: {"ansible_connection": "local"} for name in ("a", "b")}
    (tmp_path / "inventory.json").write_text(json.dumps({"robots": {"hosts": hosts}}), encoding="utf-8")
    play = {"hosts": "robots", "gather_facts": False, **batch, "tasks": [{"k8s4r.robot.compile": {}, "run_once": True}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "ANSIBLE_NOCOLOR": "1", "K8S4R_HOME": str(tmp_path)}
    done = loaded.run("-i", tmp_path / "inventory.json", tmp_path / "play.yml", environment=environment, directory=tmp_path)
    assert done.returncode == 2
    assert words in " ".join(done.stdout.split()), done.stdout + done.stderr
