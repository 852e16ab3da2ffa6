# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helper programs in a directory of a test's own, and programs that run beside it."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers

from .programs import ENVIRONMENT


@pytest.fixture
def command(tmp_path):
    """The command of a helper whose fixed places are in a directory of the test's own."""

    def write(helper: helpers.Helper, **places: pathlib.Path) -> list[str]:
        text = helper.text
        for name, place in places.items():
            assert helpers.PLACES[f"@{name}@"] in text
            text = text.replace(helpers.PLACES[f"@{name}@"], str(place))
        path = tmp_path / helper.name
        path.write_text(text)
        return [*helper.interpreter, str(path)]

    return write


@pytest.fixture
def start():
    """Start a program that is still to end by itself; whatever became of the test, it is gone afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def run_beside(argv: list[str], argument: object, **environment: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([*argv, str(argument)], env={**ENVIRONMENT, **environment}, stderr=subprocess.PIPE))
        return started[-1]

    yield run_beside
    for process in started:
        process.kill()
        process.wait()
