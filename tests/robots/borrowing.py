# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets for tests: each is one process's own, and is taken away even when that process dies."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from tests.robots.fleet import Fleet
from tests.robots.host import BUILD, checkout_id, engine_answers, lock_if_free, run
from tests.robots.spec import RobotSpec

PREFIX = "test-"
"""Begins the prefix of every borrowed fleet; fleets with other prefixes belong to people."""


@contextlib.contextmanager
def borrowed(kind: str, specs: list[RobotSpec], variables: dict[str, str] | None = None) -> Iterator[Fleet]:
    """New robots that no other process uses, up until the block ends; ``kind`` is a word for their names.

    Tests in several processes, and several runs in one checkout, may borrow the same kind at once: each gets its own.
    """
    remove_abandoned()
    with contextlib.ExitStack() as stack:
        for fleet in _numbered(kind):
            if stack.enter_context(_in_use(fleet)):
                break
        stack.callback(fleet.down)
        fleet.down()
        fleet.up(specs, variables)
        yield fleet


def _numbered(kind: str) -> Iterator[Fleet]:
    return (Fleet(f"{PREFIX}{kind}-{number}") for number in itertools.count(1))


def _in_use(fleet: Fleet) -> contextlib.AbstractContextManager[bool]:
    """The kernel lets go of the lock when the process ends, however it ends."""
    return lock_if_free(f"{fleet.full_name}.borrowed")


def remove_abandoned() -> None:
    """Take away the fleets of this checkout whose borrower has died."""
    for prefix in sorted(_existing()):
        fleet = Fleet(prefix)
        with _in_use(fleet) as free:
            if free:
                fleet.down()


def _existing() -> set[str]:
    """The prefixes of all borrowed fleets of this checkout, whole or in ruins."""
    checkout = f"k8s4r-{checkout_id()}-"
    found = {path.name for path in BUILD.glob(f"{PREFIX}*")}
    if engine_answers():
        networks = run("docker", "network", "ls", "--filter", f"name=^{checkout}{PREFIX}", "--format", "{{.Name}}")
        found |= {name.removeprefix(checkout) for name in networks.split()}
    return found
