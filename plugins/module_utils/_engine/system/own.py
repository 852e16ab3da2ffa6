# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine itself is, and what its own units are called."""

from __future__ import annotations

import os

# Rolls back at boot; and every unit of the engine, as a pattern: no job may have a unit of such a name.
RECOVERY = "k8s4r-recover.service"
UNITS = r"k8s4r-(recover|prepare-.*|switch-.*)\.service"


def worker(operation: str, release: str) -> str:
    """The unit that does the work of ``prepare`` or ``switch``."""
    return f"k8s4r-{operation}-{release}.service"


def engine_home() -> str:
    """Where this engine is: the directory that Python runs."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.dirname(package)
