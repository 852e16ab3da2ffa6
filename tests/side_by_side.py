# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs beside what, when pytest-xdist shares the tests out among processes.

A group runs in one process, one test after another, and so shares its fleets. Below tests/integration every module is a
group; elsewhere every test is one. pytest-xdist's own marker for groups has no effect under pytest 9.2.
"""

from __future__ import annotations

import typing as t

from xdist.scheduler import LoadScopeScheduling

INTEGRATION = "tests/integration/"
SYSTEM = f"{INTEGRATION}system/"

TOGETHER = {
    "provision": (f"{INTEGRATION}provision/",),
    "emulated": (f"{INTEGRATION}emulated/",),
    "kernels": tuple(f"{SYSTEM}test_{name}.py" for name in ("clock", "disks", "power_cut", "quotas", "users", "virtual_machines")),
    "services": tuple(f"{INTEGRATION}deploy/test_{name}.py" for name in ("controllers", "discovery", "names")),
}
"""Modules that are one group: they build on what the ones before them left on the robots, as Envoy, or share a virtual machine."""

LONGEST_FIRST = (
    *("emulated", "kernels", f"{SYSTEM}test_molecule.py", "provision", "services", f"{INTEGRATION}lifecycle/"),
    *(
        "tests/lint/test_lint.py::test_ansible_test_sanity",
        f"{INTEGRATION}compile/test_docker.py",
        f"{INTEGRATION}engine/test_killed.py",
        f"{INTEGRATION}engine/test_bundles.py",
        f"{INTEGRATION}compile/test_artifacts.py",
        INTEGRATION,
    ),
    *("tests/demo/test_small_examples.py", "tests/lint/test_lint.py"),
)
"""How the groups that take long begin. What starts last must be short, or all others have ended and wait for it."""


def group(test: str) -> str:
    """The group of a test, by its node ID."""
    module = test.partition("::")[0]
    for name, modules in TOGETHER.items():
        if module.startswith(modules):
            return name
    return module if module.startswith(INTEGRATION) else test


def turn(test: str) -> int:
    """Where a test stands in the order in which groups are started."""
    name = group(test)
    return next((place for place, start in enumerate(LONGEST_FIRST) if name.startswith(start)), len(LONGEST_FIRST))


class Groups(LoadScopeScheduling):
    """Gives each process one group after the other, in the order of the collection."""

    def __init__(self, config: t.Any, log: t.Any) -> None:
        """Without this option the groups of most tests would come first."""
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
