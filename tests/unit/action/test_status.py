# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of robots that are off: they stand in the table, and the playbook ends well."""

from __future__ import annotations

import os

from tests import loaded
from tests.lint.tools import CHECKOUT


def test_a_robot_that_is_off_is_shown(tmp_path):
    inventory = tmp_path / "robots"
    # Nothing listens at port 1.
    inventory.write_text("[robots]\narm1 ansible_host=127.0.0.1 ansible_port=1\n", encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build"), "ANSIBLE_NOCOLOR": "1", "K8S4R_HOME": str(tmp_path)}
    arguments = ("-i", inventory, "k8s4r.robot.status", "-e", "problems=true")
    done = loaded.run(*arguments, environment=environment, directory=tmp_path)
    assert done.returncode == 0, done
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("arm1  ") and "OFF" in line]
    assert line.endswith("connect to host 127.0.0.1 port 1: Connection refused")
    assert "1 robot, 0 groups: 1 thing is wrong" in done.stdout
