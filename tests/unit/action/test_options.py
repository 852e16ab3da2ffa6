# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extra variables of the playbooks: what is no number, or neither true nor false, is refused before anything else is done."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.actions.compile import ActionModule
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.action import misread


def test_all_of_them_are_named_at_once():
    assert misread({"wait": "perhaps", "wait_seconds": "abc", "keep_data": "", "job": "x"}, ActionModule.ARGUMENTS) == [
        'keep_data: found "": expected true or false',
        'wait: found "perhaps": expected true or false',
        'wait_seconds: found "abc": expected a whole number, such as 600',
    ]
    assert misread({"wait_seconds": "-1"}, ActionModule.ARGUMENTS) == ['wait_seconds: found "-1": expected a whole number, such as 600']


@pytest.mark.parametrize("given", [{"wait": "yes", "wait_seconds": "60"}, {"wait": True, "wait_seconds": 60}, {"wait": None}, {}])
def test_what_ansible_reads_is_taken(given):
    assert misread(given, ActionModule.ARGUMENTS) == []
