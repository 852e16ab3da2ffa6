# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves from one robot to another, and when the one may give it up."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.moves import moves, waiting

WEB = "default/shop/web"
PLACED = {WEB: {"b": [0, 1], "c": [2]}}


def goes(*units, group=WEB):
    return {"id": {"name": group, "whole": True, "units": list(units), "data": 0}}


@pytest.mark.parametrize(
    ("answer", "to"),
    [
        (goes("r1 server", "r1 logger", "proxy", "init fetch"), {1: "b"}),
        (goes("r0 server", "r2 server"), {0: "b", 2: "c"}),
        (goes("r7 server"), None),
        (goes("r1 server", group="default/shop/old"), None),
        (goes("proxy"), None),
        ({}, None),
    ],
    ids=["to one robot", "to two", "none runs it any more", "the group ends", "no instance", "nothing goes"],
)
def test_what_moves_away(answer, to):
    assert moves("a", answer, PLACED) == ({"id": {"group": WEB, "to": to}} if to else {})


def test_what_a_robot_runs_itself_does_not_move_away_from_it():
    assert moves("b", goes("r1 server"), PLACED) == {}


@pytest.mark.parametrize(
    ("statuses", "late"),
    [
        ({"b": "committed", "c": "unchanged"}, []),
        ({"b": "committed", "c": "rolled-back"}, ["c, which is to run r2"]),
        ({"b": "", "c": "committed"}, ["b, which is to run r0"]),
    ],
)
def test_it_goes_when_all_that_it_moves_to_have_it(statuses, late):
    found = waiting(moves("a", goes("r0 server", "r2 server"), PLACED), statuses.__getitem__)
    assert list(found) == (["id"] if late else [])
    for text in late:
        assert text in found["id"]
