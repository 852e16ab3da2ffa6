# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as an archive: always the same bytes, only what a robot needs."""

from __future__ import annotations

import ast
import io
import zipfile

from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing


def test_the_archive_is_the_same_bytes_every_time():
    packing.engine.cache_clear()
    first = packing.engine()
    packing.engine.cache_clear()
    second = packing.engine()
    assert first is not second
    assert (first.digest, first.archive()) == (second.digest, second.archive())


def test_the_archive_holds_the_engine_and_nothing_of_the_modules():
    names = zipfile.ZipFile(io.BytesIO(packing.engine().archive())).namelist()
    assert "__main__.py" in names
    assert "k8s4r_engine/plan.py" in names
    assert "k8s4r_engine/resources/__init__.py" in names
    assert not [name for name in names if "provision" in name]


def test_every_file_counts_in_the_digest():
    engine = packing.engine()
    assert len(engine.digest) == 32
    assert packing.digest_of({**engine.files, "k8s4r_engine/plan.py": b""}) != engine.digest
    assert packing.digest_of(dict(engine.files)) == engine.digest


def test_the_bootstrap_can_be_read_by_a_python_that_is_too_old():
    tree = ast.parse(packing.bootstrap())
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(tree) if isinstance(node, too_new)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation]
