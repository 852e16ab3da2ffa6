# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection that it is, before any test module is; and what runs beside what.

docs/architecture.md ("What a test may cost") tells how tests are shared out among processes.
"""

from __future__ import annotations

import importlib
import pathlib

import pytest

from tests import processor

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
INTEGRATION = CHECKOUT / "tests" / "integration"

ONE_AFTER_ANOTHER = ("provision",)
"""Packages below tests/integration whose tests build on what the ones before them left on the robots."""

LONGEST_FIRST = ("vm", "test_molecule", "provision", "test_ansible_test_sanity", "test_killed", "test_linter")
"""Groups that take minutes, and single tests: what is started last must be short, or the others wait for it at the end."""


def _link_collection() -> None:
    link = CHECKOUT / "build" / "ansible_collections" / "k8s4r" / "robot"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../../..")


_link_collection()
# Python has looked for `build` before it was there.
importlib.invalidate_caches()


def pytest_configure(config: pytest.Config) -> None:
    """The processes that xdist starts are part of what the first one measures."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(processor.Meter(), "processor")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is below tests/integration needs machines; `make check` leaves it out.

    Tests of one group run one after another, in the same process.
    """
    for item in items:
        if INTEGRATION in item.path.parents and not item.get_closest_marker("vm"):
            item.add_marker("robots")
        group = _group(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _group(item: pytest.Item) -> str | None:
    if item.get_closest_marker("vm"):
        return "vm"  # one emulated machine takes a whole processor: several would take it from one another
    if INTEGRATION not in item.path.parents:
        return None
    package = item.path.parent.name
    return package if package in ONE_AFTER_ANOTHER else item.path.stem


def _turn(item: pytest.Item) -> int:
    for turn, name in enumerate(LONGEST_FIRST):
        if name in (_group(item), item.name.partition("[")[0]):
            return turn
    return len(LONGEST_FIRST) + (not item.get_closest_marker("robots"))
