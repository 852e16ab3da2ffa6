# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time limit that ends a hanging call and gives an outer limit its time back."""

from __future__ import annotations

import signal
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import deadline


def test_a_hanging_call_ends():
    started = time.monotonic()
    with pytest.raises(deadline.Elapsed), deadline.limit(0.2):
        time.sleep(5)
    assert time.monotonic() - started < 2


def test_a_call_that_returns_is_left_alone():
    with deadline.limit(0.2):
        returned = True
    time.sleep(0.3)
    assert returned


def test_an_outer_alarm_still_rings_when_it_is_due():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        with pytest.raises(deadline.Elapsed), deadline.limit(0.1):
            time.sleep(5)
        time.sleep(0.6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rung) == 1
    # By then the long sleep would be over.
    assert 0.3 < rung[0] - started < 5
