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


def label(name: str) -> str:
    """The part of a variable's name that a port's label gives under Nomad, which leaves letters as they are: `web-ui` gives `web_ui`."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def is_database(upstream: Upstream) -> bool:
    """Whether DATABASE_* may be about this upstream."""
    name = upstream.name.lower()
    return upstream.protocol is Protocol.TCP and ("database" in name or "db" in name)


# Bytes of one argument or variable of a program, with the NUL at its end: MAX_ARG_STRLEN of Linux.
LONGEST = 131072


def too_long(text: str, counted: str = "the NUL at its end") -> str:
    """Why no program can be started with this argument, or this `NAME=value`; empty if one can. `counted` is what its length includes."""
    # A character has at most four bytes.
    if len(text) < LONGEST // 4:
        return ""
    size = len(text.encode()) + 1
    return f"is {size:,} bytes long with {counted}, and Linux starts no program with more than {LONGEST:,}" if size > LONGEST else ""


def variable_too_long(name: str, value: str) -> str:
    """The same for a variable."""
    # As below, but without a text for each of the variables that are short.
    if len(name) + len(value) < LONGEST // 8:
        return ""
    return too_long(f"{name}={value}", "its name, the = and the NUL at its end")
