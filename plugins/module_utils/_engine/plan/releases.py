# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What releases are called, also by a controller, which names what a robot is to make of a plan."""

from __future__ import annotations

import os
import time

# Characters.
MOST = 64


def new() -> str:
    """A name that sorts by time and is unique."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.urandom(4).hex()}"


def is_sound(name: str) -> bool:
    """Whether it leads nowhere else, as a part of a path."""
    return len(name) <= MOST and name.replace("-", "").isalnum()
