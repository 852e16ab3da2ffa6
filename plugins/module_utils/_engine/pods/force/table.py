# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of nftables, as it should be."""

from __future__ import annotations

import hashlib

from ...system import command, files
from .. import rules
from . import kept

_LIST = ["nft", "--stateless", "list", "table", "inet", rules.TABLE]


def ensure(text: str) -> list[str]:
    """Whether it is as it was made is seen by nft's own words for it, which differ from ours."""
    wanted = hashlib.sha256(text.encode("ascii")).hexdigest()
    status, listed = command.run(_LIST, errors=False, timeout=command.PATIENCE)
    if status == 0 and kept.read("table") == {"wanted": wanted, "listed": listed}:
        return []
    _load(text)
    listed = command.need(_LIST, timeout=command.PATIENCE)
    kept.keep("table", {"wanted": wanted, "listed": listed})
    return ["table"]


def remove() -> list[str]:
    """What was there."""
    kept.remove("table")
    if command.run(["nft", "list", "table", "inet", rules.TABLE], errors=False, timeout=command.PATIENCE)[0]:
        return []
    _load(rules.ruleset({}))
    return ["table"]


def _load(text: str) -> None:
    files.replace(kept.STATE + "/nft", text.encode("ascii"))
    command.need(["nft", "-f", kept.STATE + "/nft"], timeout=command.PATIENCE)
