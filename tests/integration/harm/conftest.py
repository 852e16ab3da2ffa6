# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong with a robot itself."""

from __future__ import annotations

import contextlib

import pytest


@pytest.fixture
def mounted(machine):
    """Puts another file system over a directory until the test ends: `mounted(directory, command)`, a mount command without its target."""
    with contextlib.ExitStack() as stack:

        def mount(directory: str, command: str) -> None:
            machine.sh(f"mkdir -p {directory}; {command} {directory}")
            stack.callback(machine.sh, f"systemctl stop 'k8s4r-*' --all 2>/dev/null; umount --lazy {directory}")

        yield mount
