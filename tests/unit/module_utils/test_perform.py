# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out steps: what of it needs no systemd."""

from __future__ import annotations

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.perform import Performer, silence
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import ledger, manifest

JOB = {"namespace": "n", "name": "j"}


def test_the_word_that_units_started_well_is_forgotten_of_all_that_start_again(robot):
    """Died behind the restarts, and once more on the way back, a run would take an old word for the new start."""
    group = {"name": "g", "release": "r1", "committed": 1.0, "resources": [{"kind": "user", "name": "k8s4r-a"}], "leftovers": []}
    group.update(started={"a.service": "1", "b.service": "2", "c.service": "3"}, needs=[], ports=[], secrets=None)
    robot.ledger.save({**JOB, **ledger.whole("d"), "groups": {"g": group}})
    performer = Performer(robot, "r2", JOB, manifest.last_good("g", group), silence)
    performer.perform({"do": "clear", "text": "", "units": ["a.service", "b.service"], "done": [], "known": []})
    assert robot.ledger.group(JOB, "g")["started"] == {"c.service": "3"}
