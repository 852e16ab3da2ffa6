# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals by number, for what is no systemd: shells know different names."""

from __future__ import annotations

from ...job.model.vocabulary import SIGNALS, SIGRTMAX, SIGRTMIN


def number(name: str) -> int:
    """The number of a signal, such as SIGTERM or SIGRTMIN+3; signal(7), on amd64 and arm64."""
    for base, first in (("SIGRTMIN", SIGRTMIN), ("SIGRTMAX", SIGRTMAX)):
        if name.startswith(base):
            return first + int(name[len(base) :] or 0)
    return SIGNALS.index(name) + 1
