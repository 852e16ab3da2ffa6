# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes a robot."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import lock


def test_the_lock_says_who(tmp_path):
    with lock.Lock(str(tmp_path), "alice@laptop", "switch"):
        assert lock.held(str(tmp_path / "lock")).startswith("alice@laptop is changing this robot (since 20")
        with pytest.raises(Refusal, match="alice@laptop"), lock.Lock(str(tmp_path), "bob", "prepare"):
            pass
    assert lock.held(str(tmp_path / "lock")) is None
    assert lock.held(str(tmp_path / "nothing")) is None
