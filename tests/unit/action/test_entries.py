# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of registration entries that were lost on the SPIRE server."""

from __future__ import annotations

import types

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions import entries
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.server import Looked, State

AGENT, IDENTITY = "spiffe://fleet.example/spire/agent/x509pop/a", "spiffe://fleet.example/ns/default/job/web/group/a"
ENTRY = {"entry_id": "k8s4r.1", "spiffe_id": IDENTITY, "parent_id": AGENT, "selectors": [{"type": "unix", "value": "user:web"}]}


class Entries(entries.ActionModule):
    """The action on a server that lists no entry, and takes all; it keeps the lines that it says."""

    def __init__(self, check: bool) -> None:
        self._task = types.SimpleNamespace(check_mode=check, connection="ssh")
        self._templar = types.SimpleNamespace(template=lambda value: value)
        self.said = []
        self.asked = []
        self._display = types.SimpleNamespace(display=self.said.append)

    def look(self, _host, _command=(), data=""):
        self.asked.append(data)
        return Looked(State.UP, "", (0, '{"results": [{"status": {"code": 0}}]}' if data else '{"entries": []}', ""))


@pytest.mark.parametrize(("check", "corrected"), [(False, "now corrected"), (True, "would be corrected")])
def test_a_check_corrects_nothing_and_says_so(check, corrected):
    answer = {"status": "unchanged", "entries": [ENTRY], "needed": ["spire_agent"]}
    robots = {"a": {"jobs": [{"namespace": "default", "name": "web", "empty": False}], "agent": AGENT}}
    variables = {
        "groups": {"robots": ["a"], "spire_server": ["hub"]},
        "ansible_play_hosts": ["a"],
        "hostvars": types.SimpleNamespace(raw_get=lambda name: {"k8s4r_prepared": answer} if name == "a" else {}),
        "k8s4r_compiled": {"robots": robots, "verify_entries": True, "identities": False},
    }
    names = {"compiled": "k8s4r_compiled", "prepared": "k8s4r_prepared", "switched": "k8s4r_switched", "held": "k8s4r_held"}
    action = Entries(check)
    assert action.act({"state": "present", "delete": True, **names}, variables)["created"] == ["k8s4r.1"]
    assert action.said == [f"hub: 1 registration entry missing or changed on the SPIRE server, {corrected}: {IDENTITY}"]
    assert any(action.asked) is not check
