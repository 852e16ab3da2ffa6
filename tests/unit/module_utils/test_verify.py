# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying a release before anything is touched."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.judge import verify

INIT = plan.unit("k8s4r-init.service", "", run="init")


def group(name, *resources):
    return plan.group(name, name, resources, programs=[plan.program("/no/such/program", name)])


def test_an_init_task_may_install_the_programs_of_its_own_group_alone():
    (error,) = verify.lacking([group("one", INIT), group("two")])
    assert error.startswith("two: /no/such/program is not on this robot")
    assert verify.lacking([group("one", INIT)]) == []


@pytest.mark.parametrize(
    ("code", "output", "errors"),
    [
        (0, "", []),
        (0, "other.service:1: odd\n", []),
        (0, "/run/x/k8s4r-a.service:3: Unknown key\n", ["systemd does not accept this unit: k8s4r-a.service:3: Unknown key"]),
        (0, "/run/x/k8s4r-a.service: Command /opt/x is not executable: No such file\n", []),
        (1, "no line of ours\n", ["systemd does not accept this unit: no line of ours"]),
        (1, "", ["systemd-analyze verify ended with status 1"]),
        (124, "", ["systemd-analyze verify did not end within 60 s"]),
    ],
)
def test_what_systemd_analyze_said(code, output, errors):
    assert verify.verdict(code, output, "/run/x", ["k8s4r-a.service"]) == errors
