# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration entries on a server; a function of the test's own stands for its program."""

from __future__ import annotations

import json

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.server import Server, ServerError
from tests.unit.module_utils.provision.test_entries import as_server_prints, entry


def server(*there):
    """A server that has these entries, and refuses to create what has one of their ids, or is otherwise like one of them."""

    def run(argv, data=""):
        if argv[2] == "show":
            return 0, json.dumps({"entries": [as_server_prints(each) for each in there]}), ""
        wanted = json.loads(data)["entries"]
        codes = [6 if any(each["spiffe_id"] == other["spiffe_id"] for other in there) else 0 for each in wanted]
        return 0, json.dumps({"results": [{"status": {"code": code, "message": "similar entry already exists"}} for code in codes]}), ""

    return Server(run, "spire-server", "/run/api.sock")


def test_what_was_created_by_a_command_whose_answer_was_lost_is_no_error():
    both = [entry(), entry("k8s4r.2", "back")]
    server(*both).create(both)


@pytest.mark.parametrize("other", [entry("foreign.1"), entry(selectors=[{"type": "unix", "value": "user:c"}])], ids=["id", "selectors"])
def test_what_another_one_has_created_is(other):
    with pytest.raises(ServerError, match=r"refused to create 1 entry: k8s4r\.1: similar entry already exists \(code 6\)"):
        server(other).create([entry()])
