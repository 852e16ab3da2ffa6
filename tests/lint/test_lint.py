# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The linters, each in its strictest profile; what they are told stands in pyproject.toml, .yamllint and .ansible-lint."""

from __future__ import annotations

import sys

import pytest

from tests.lint.tools import CHECKOUT, run
from tests.robots import controller

SHELL = sorted(str(path.relative_to(CHECKOUT)) for folder in ("plugins", "roles") for path in (CHECKOUT / folder).glob("**/*.sh"))

# A collection's modules have their full names below build alone.
PLUGINS = "build/ansible_collections/k8s4r/robot/plugins"
# Robots have Python 3.8 and later; the oldest that mypy knows is 3.10.
ROBOT = [f"{PLUGINS}/{folder}" for folder in ("module_utils", "modules")]

LINTERS = {
    "ruff": ["ruff", "check"],
    "format": ["ruff", "format", "--check", "--diff"],
    "mypy-robot": ["mypy", "--python-version", "3.10", *ROBOT],
    "mypy-controller": ["mypy", PLUGINS],
    "shellcheck": ["shellcheck", "--norc", *SHELL],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--nocolor", "--format", "pep8"],
}

STYLE = ("pep8", "pylint", "shellcheck", "yamllint")
"""Tests of ansible-test about style alone."""


@pytest.mark.parametrize("linter", LINTERS)
def test_linter(linter):
    run(LINTERS[linter], seconds=900)


@pytest.mark.sanity
@pytest.mark.parametrize("ansible", ["oldest", pytest.param("newest", marks=pytest.mark.robots)])
def test_ansible_test_sanity(ansible, monkeypatch):
    """With no ignore file: the newest ansible-core's tests are all of them, under the Python of a controller in a container; the oldest's
    are under every Python that this machine has, but for those that ask nothing of Ansible and that the newest has in a newer version.
    """
    monkeypatch.chdir(CHECKOUT)
    sanity = ["-m", "tests.sanity", "--color", "no"]
    oldest = [sys.executable, *sanity, *(word for name in STYLE for word in ("--skip-test", name))]
    run(oldest if ansible == "oldest" else controller.command("python3", *sanity, network="host", environment={}), seconds=2400)
