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

from tests import processor, side_by_side

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
INTEGRATION = CHECKOUT / "tests" / "integration"


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
    """Whatever is below tests/integration needs machines; `make check` leaves it out. What takes long comes first."""
    for item in items:
        if INTEGRATION in item.path.parents and not item.get_closest_marker("vm"):
            item.add_marker("robots")
    items.sort(key=lambda item: side_by_side.turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> side_by_side.Groups:
    """Tests that share robots run in one process."""
    return side_by_side.Groups(config, log)
