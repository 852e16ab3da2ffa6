# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection that it is, before any test module is."""

from __future__ import annotations

import importlib
import pathlib

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent


def _link_collection() -> None:
    link = CHECKOUT / "build" / "ansible_collections" / "k8s4r" / "robot"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../../..")


_link_collection()
# Python has looked for `build` before it was there.
importlib.invalidate_caches()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is below tests/integration needs machines; `make check` leaves it out."""
    for item in items:
        if CHECKOUT / "tests" / "integration" in item.path.parents and not item.get_closest_marker("vm"):
            item.add_marker("robots")
