# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How names of a job become names of environment variables, and which upstream is a database: one rule for all."""

from __future__ import annotations

import re

from .model.network import Upstream
from .model.vocabulary import Protocol


def variable(name: str) -> str:
    """The part of an injected variable's name that a name of the job gives: `api-service` gives `API_SERVICE`."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def is_database(upstream: Upstream) -> bool:
    """Whether DATABASE_* may be about this upstream."""
    name = upstream.name.lower()
    return upstream.protocol is Protocol.TCP and ("database" in name or "db" in name)
