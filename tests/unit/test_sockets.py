# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SPIRE server's socket is named in several places, which cannot import one another."""

from __future__ import annotations

import yaml

from ansible_collections.k8s4r.robot.plugins.modules import spire_entries
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.server import SOCKET
from tests.lint.tools import CHECKOUT


def variables(role: str) -> dict:
    return yaml.safe_load((CHECKOUT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))


def test_roles_modules_and_actions_name_the_same_socket_of_the_server():
    documented = yaml.safe_load(spire_entries.DOCUMENTATION)["options"]["socket"]["default"]
    server, agent = variables("spire_server"), variables("spire_agent")
    assert documented == SOCKET == server["__spire_server_component"]["socket"] == agent["__spire_agent_server_socket"]
