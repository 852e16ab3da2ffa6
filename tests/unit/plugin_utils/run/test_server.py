# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of a SPIRE server that it cannot ask: on which machine that is, and what starts it."""

from __future__ import annotations

import types

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.server import Server, ServerError
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.server import ServerAction, State
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.exec import Outcome


class Looks(ServerAction):
    """An action that needs nothing of Ansible, since its shell has answered already."""

    def __init__(self, printed: str) -> None:
        self.shell = lambda _command, _data: Outcome(0, printed, "")
        self._connection = types.SimpleNamespace(has_option=lambda _name: False)


def test_a_server_that_is_stopped_is_named_with_its_machine_and_what_starts_it():
    looked = Looks("down\n").look("hub")
    assert looked.state is State.DOWN
    assert looked.away.startswith("the SPIRE server on hub is not running (")
    assert "systemctl start spire-server" in looked.away
    assert "k8s4r.robot.provision" in looked.away


@pytest.mark.parametrize(("machine", "called"), [("hub", "the SPIRE server on hub"), ("", "the SPIRE server")])
def test_a_server_that_gives_no_answer_is_named_with_its_machine(machine, called):
    server = Server(lambda _command, **_options: (1, "", "connection refused\n"), "/bin/spire-server", "/run/api.sock", machine)
    with pytest.raises(ServerError) as caught:
        server.list()
    assert (
        str(caught.value) == f"{called} does not answer at /run/api.sock: connection refused; systemctl status spire-server there says more"
    )
