# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet whose controller gets a newer version of the collection."""

from __future__ import annotations

import pytest

from tests.integration import former
from tests.integration.deploy.harness import ROBOTS, Deployment, sleeper


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Where Ansible finds the older version."""
    return former.build(tmp_path_factory.mktemp("former"))


def pids(deployment: Deployment) -> list[str]:
    """The main processes of the tasks on each robot."""
    return [deployment.sh(robot, "systemctl show -p MainPID --value 'k8s4r-task-*'").strip() for robot in ROBOTS]


def test_what_changed_restarts_once_and_nothing_is_left(deployment, older):
    """The unit of every task is another one in this version, as the changelog says. That a unit that is the same keeps running
    is shown in tests/integration/engine/test_upgrade.py.
    """
    here, deployment.collections = deployment.collections, older
    deployment.deploy(sleeper()).well()
    before = pids(deployment)
    assert "" not in before
    deployment.collections = here
    deployment.deploy(sleeper()).well()
    after = pids(deployment)
    assert not set(after) & {"", *before}
    run = deployment.deploy(sleeper()).well()
    assert (set(run.changed.values()), pids(deployment)) == ({0}, after)
    deployment.deploy(sleeper(value="two")).well()
    deployment.remove(job=deployment.job(sleeper())).well()
    # The footprint names units too.
    assert not [line for robot in ROBOTS for line in deployment.footprint(robot).splitlines() if "hello" in line]


def test_the_older_version_touches_nothing_that_it_cannot_read(deployment, older):
    """It does not know that there are versions; a later one says what to do."""
    deployment.deploy(sleeper()).well()
    before = pids(deployment)
    deployment.collections = older
    deployment.deploy(sleeper(value="two")).refused("error in the engine (KeyError at ")
    assert pids(deployment) == before
