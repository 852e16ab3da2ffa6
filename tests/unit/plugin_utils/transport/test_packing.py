# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as an archive: always the same bytes, only what a robot needs."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import typing as t
import zipfile

import pytest

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
    folder = {path.relative_to(packing.FOLDER).as_posix() for path in packing.FOLDER.rglob("*") if path.is_file()}
    assert set(names) == {f"k8s4r_engine/{name}" for name in folder if "__pycache__" not in name} | {"__main__.py"}
    assert "k8s4r_engine/resources/unit.py" in names
    assert not [name for name in names if "provision" in name]


def imported(name: str, content: bytes) -> t.Iterator[str]:
    """Every module that a file of the archive names in an import, wherever in it."""
    package = name.split("/")[:-1]
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*above, *filter(None, [node.module])])


def test_the_archive_imports_nothing_that_is_not_in_it():
    """Nor in the standard library. What only a type checker imports is held to it too."""
    files = packing.engine().files
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    foreign = {
        (name, module)
        for name, content in files.items()
        for module in imported(name, content)
        if module not in modules and module.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()


def test_every_module_of_the_archive_can_be_imported_from_it(tmp_path):
    """A name that a module lacks is found here."""
    archive = tmp_path / "engine.zip"
    archive.write_bytes(packing.engine().archive())
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in packing.engine().files if "/" in name]
    program = f"import sys, importlib; sys.path.insert(0, {str(archive)!r}); [importlib.import_module(name) for name in {names!r}]"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_file_counts_in_the_digest():
    engine = packing.engine()
    assert len(engine.digest) == 32
    assert packing.digest_of({**engine.files, "k8s4r_engine/plan/__init__.py": b""}) != engine.digest
    assert packing.digest_of(dict(engine.files)) == engine.digest


# Each costs a robot milliseconds; typing would come in with an annotation that is not a text.
COSTLY = {"collections", "contextlib", "enum", "functools", "hashlib", "json", "re", "socket", "subprocess", "typing"}


def test_an_unchanged_answer_waits_for_no_costly_import(tmp_path):
    """What needs one of them imports it when it does. Python itself, started like this, imports none."""
    with zipfile.ZipFile(io.BytesIO(packing.engine().archive())) as archive:
        archive.extractall(tmp_path)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from k8s4r_engine.requests import main, prepare
from k8s4r_engine.judge import intact
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {"k8s4r_engine.judge.intact", "k8s4r_engine.system.systemd"} <= imported
    assert imported & COSTLY == set()


@pytest.mark.parametrize("program", [packing.bootstrap(), packing.MAIN.encode()], ids=["bootstrap", "main"])
def test_what_runs_first_can_be_read_by_a_python_that_is_too_old(program):
    tree = ast.parse(program)
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(tree) if isinstance(node, too_new)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation]
