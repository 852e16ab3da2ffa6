# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs compiled for one robot."""

from __future__ import annotations

import textwrap

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh.peers import known_services
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.network import across
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Fleet, Robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader

ROBOT = Robot("r1", "192.0.2.1", {"arm": "left"})
TASKS = "tasks: [{name: app, config: {execConfig: {command: app}}}]"


def compiled(*jobs: str, robot: Robot = ROBOT, source: dict[str, bool] | None = None, held=None, others=None, **fleet):
    sources = [reader.Source(f"job{number}.yml", textwrap.dedent(text), **(source or {})) for number, text in enumerate(jobs)]
    loaded, _warnings = reader.load(sources, reader.Options(decrypt=lambda text: text if "$" in text else "hunter2!"))
    whole = Fleet(**{"robots": (robot,), "trust_domain": "fleet.example", **fleet})
    placement = place(loaded, whole)
    beyond = across.known(loaded, whole, placement, lambda name: (held or {}) if name == robot.name else (others or {}))
    return compile_robot(loaded, whole, placement, robot.name, known_services(loaded, whole, placement), held, beyond=beyond)


def refusal(*jobs: str, **more) -> str:
    with pytest.raises(JobErrors) as raised:
        compiled(*jobs, **more)
    return str(raised.value)
