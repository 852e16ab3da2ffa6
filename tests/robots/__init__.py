# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test machines: whole systemd robots as containers or virtual machines, on one network, reached by SSH.

One mechanism for molecule, the integration tests, the demo and the benchmark::

    from tests.robots import Fleet, RobotSpec

    fleet = Fleet("demo")
    fleet.up([RobotSpec("work1", labels={"role": "work"}), RobotSpec("datacentre1", labels={"role": "datacentre"})])
    fleet.ssh("work1", "systemctl is-system-running")
    fleet.down()

``python3 -m tests.robots --help`` is the same from a shell. The package needs nothing but Python's standard library,
so that it can run before anything is installed.
"""

from tests.robots.borrowing import borrowed
from tests.robots.fleet import Fleet
from tests.robots.host import RobotsError
from tests.robots.spec import RobotSpec

__all__ = ["Fleet", "RobotSpec", "RobotsError", "borrowed"]
