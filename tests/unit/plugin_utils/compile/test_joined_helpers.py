# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that units call and that are written in several files: joined, they are one program."""

from __future__ import annotations

import ast
import collections
import pathlib
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers

FOLDERS = [path for path in pathlib.Path(helpers.__file__).parent.iterdir() if (path / "main.py").exists()]


def defined(text: str) -> t.Iterator[str]:
    """The names that it gives to something, at its outermost level."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_has_what_all_of_its_files_have_and_each_name_once(folder: pathlib.Path) -> None:
    (helper,) = [each for each in helpers.HELPERS if each.name == folder.name.replace("_", "-")]
    found = list(defined(helper.text))
    assert set(found) == {name for path in folder.glob("*.py") for name in defined(path.read_text(encoding="utf-8"))}
    assert {name for name, times in collections.Counter(found).items() if times > 1} <= {"TYPE_CHECKING"}
    assert not [node for node in ast.walk(ast.parse(helper.text)) if isinstance(node, ast.ImportFrom) and node.level]
