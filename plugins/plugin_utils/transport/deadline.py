# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time limit for a call that may hang: over a multiplexed connection whose link is dead, a call never returns by itself."""

from __future__ import annotations

import contextlib
import signal
import types
import typing as t


class Elapsed(BaseException):
    """The call did not return in time; not an `Exception`, so that no connection plugin's retry swallows it."""


@contextlib.contextmanager
def limit(seconds: float) -> t.Iterator[None]:
    """Raise `Elapsed` in the body after `seconds`. An alarm that is already set (a task's `timeout`) is set again afterwards."""

    def ring(_signal: int, _frame: types.FrameType | None) -> None:
        raise Elapsed

    before = signal.signal(signal.SIGALRM, ring)
    rest, _interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        left, _interval = signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if rest:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, rest - (seconds - left)))
