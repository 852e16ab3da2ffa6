# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent keeps of its attestation: whether it trusts its server, and what is no identity at all."""

from __future__ import annotations

import base64
import json
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.modules.spire_agent_name import main, settled

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n".format
# The same, with other ends of lines.
FOLDED = "-----BEGIN CERTIFICATE-----\r\n{}\r\n{}\r\n-----END CERTIFICATE-----\r\n".format


@pytest.fixture
def read(call, tmp_path):
    """Run the module on what an agent keeps, with the server's bundle."""

    def run(kept, bundle):
        path = tmp_path / "agent-data.json"
        path.write_text(kept if isinstance(kept, str) else json.dumps(kept))
        result = call(main, data=str(path), directory=str(tmp_path / "names"), bundle=bundle)
        return result["id"], result["other_root"]

    return run


def bundle(*pems):
    return {"bundle": [base64.b64encode(pem.encode()).decode() for pem in pems]}


@pytest.mark.parametrize(
    ("kept", "servers", "other"),
    [
        (bundle(PEM("b25l")), PEM("dHdv"), True),
        (bundle(PEM("b25l"), PEM("dHdv")), PEM("dHJlZQ") + PEM("Zm91cg"), True),
        (bundle(PEM("b25l")), PEM("b25l"), False),
        (bundle(PEM("b25lb25l")), FOLDED("b25l", "b25l"), False),
        (bundle(PEM("b25l"), PEM("dHdv")), PEM("dHdv") + PEM("dHJlZQ"), False),
        (bundle(PEM("b25l")), "", False),
        ({"svid": None, "bundle": None}, PEM("b25l"), False),
        ("not JSON", PEM("b25l"), False),
        ({"bundle": ["%"]}, PEM("b25l"), False),
        ([], PEM("b25l"), False),
    ],
)
def test_whether_an_agent_trusts_its_server(read, kept, servers, other):
    assert read(kept, servers) == ("", other)


def test_an_agent_that_starts_is_given_the_moment_in_which_its_file_has_no_bundle(tmp_path):
    path, whole = tmp_path / "agent-data.json", {"svid": [base64.b64encode(PEM("c3ZpZA").encode()).decode()], **bundle(PEM("b25l"))}
    path.write_text(json.dumps({**whole, "bundle": None}))

    def write_it_whole():
        (tmp_path / "next").write_text(json.dumps(whole))
        (tmp_path / "next").rename(path)

    agent = threading.Timer(0.3, write_it_whole)
    agent.start()
    assert settled(str(path)) == {"svid": [PEM("c3ZpZA")], "bundle": [PEM("b25l")]}
    agent.join()


def test_the_note_of_a_name_is_written_alone_and_withdrawn(call, tmp_path):
    where = {"data": str(tmp_path / "agent-data.json"), "directory": str(tmp_path / "names")}
    assert not call(main, withdraw=True, **where)["changed"]
    assert call(main, note="robot1", **where)["changed"]
    assert call(main, note="robot2", **where)["names"] == ["robot1"]
    assert call(main, withdraw=True, check=True, **where)["changed"]
    assert [path.name for path in (tmp_path / "names").iterdir()] == ["robot2"]
    assert call(main, withdraw=True, **where)["names"] == ["robot2"]
    assert list((tmp_path / "names").iterdir()) == []
    assert "mutually exclusive" in call(main, note="robot1", withdraw=True, **where)["msg"]
