# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time changes a robot."""

from __future__ import annotations

import fcntl
import os
import threading
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state import lock


def test_the_lock_says_who(tmp_path):
    with lock.Lock(str(tmp_path), "alice@laptop", "switch"):
        assert lock.held(str(tmp_path / "lock")).startswith("alice@laptop is changing this robot (since 20")
        assert lock.held(str(tmp_path / "lock")).endswith("; wait until that run ends")
        with pytest.raises(Refusal, match="alice@laptop"), lock.Lock(str(tmp_path), "bob", "prepare"):
            pass
    with lock.Lock(str(tmp_path), "alice@laptop", "switch", "k8s4r-switch-a.service"):
        end = "or end it on the robot: systemctl stop k8s4r-switch-a.service; the next run rolls back what it has changed"
        assert lock.held(str(tmp_path / "lock")).endswith(end)
    assert lock.held(str(tmp_path / "lock")) is None
    assert lock.held(str(tmp_path / "nothing")) is None


def test_whoever_only_asks_is_in_nobodys_way(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    done = threading.Timer(0.1, os.close, [asking])
    done.start()
    with lock.Lock(str(tmp_path), "alice", "switch"):
        assert lock.held(str(path)).startswith("alice is changing")
    done.join()


def test_a_holder_that_has_just_come_is_named(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    name = threading.Timer(0.1, os.write, [holder, b'{"who":"carol","since":1780000000,"purpose":"switch"}'])
    name.start()
    with pytest.raises(Refusal, match="carol is changing this robot"), lock.Lock(str(tmp_path), "bob", "prepare"):
        pass
    os.close(holder)


def test_who_must_not_give_up_waits(tmp_path):
    """At boot, what rolls an interrupted switch back: a run that comes so early has the lock for a moment."""
    other = lock.Lock(str(tmp_path), "carol", "prepare")
    with other:
        done = threading.Timer(0.3, other.__exit__)
        done.start()
        with lock.Lock(str(tmp_path), "the robot itself", "rolling back", patience=20.0):
            assert lock.held(str(tmp_path / "lock")).startswith("the robot itself is changing")
        done.join()
        other.fd = os.open(tmp_path / "lock", os.O_RDWR)
    with other, pytest.raises(Refusal, match="carol"), lock.Lock(str(tmp_path), "the robot itself", "rolling back", patience=0.2):
        pass


@pytest.mark.parametrize(
    "content", ["", "[]", '"x"', '{"who":1,"since":"never","purpose":2}', '{"who":"x","since":1e300,"purpose":"y"}', "\0"]
)
def test_a_lock_with_rubbish_in_it_is_a_lock(tmp_path, content):
    path = tmp_path / "lock"
    path.write_text(content)
    with path.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        began = time.monotonic()
        assert "wait until it ends" in lock.held(str(path))
        with pytest.raises(Refusal, match="another run is changing this robot"), lock.Lock(str(tmp_path), "bob", "prepare"):
            pass
        assert time.monotonic() - began < 5
