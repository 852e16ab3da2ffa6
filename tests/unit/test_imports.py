# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import rule of docs/architecture.md: what a room may know of, and nothing against it."""

from __future__ import annotations

import ast
import pathlib
import sys
import typing as t

import graphlib
import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
COLLECTION = "ansible_collections.k8s4r.robot.plugins."

PLAN = "module_utils.plan"
# A room, and what of ours it may import beside itself.
ROOMS = {
    "plugin_utils.job": (),
    "plugin_utils.fleet": ("plugin_utils.job",),
    "plugin_utils.envoy": ("plugin_utils.job",),
    "plugin_utils.compile": ("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.envoy", PLAN),
    "plugin_utils.transport": (),
    "plugin_utils.run": ("plugin_utils", PLAN),
    "module_utils.provision": (),
    "module_utils": (),
    "action": ("plugin_utils", "module_utils"),
    "modules": ("module_utils.provision",),
    "doc_fragments": (),
}
COMPILER = ("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.envoy", "plugin_utils.compile")
# The same input gives the same bytes: neither the machine nor the clock nor chance is asked.
IMPURE = {"datetime", "io", "os", "random", "secrets", "shutil", "socket", "subprocess", "tempfile", "time", "uuid"}
FILES = sorted(path for path in PLUGINS.rglob("*.py") if "__pycache__" not in path.parts)


def module(path: pathlib.Path) -> str:
    """``plugin_utils.job.reader`` of its path."""
    parts = path.relative_to(PLUGINS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {module(path) for path in FILES}


def imports(path: pathlib.Path) -> t.Iterator[tuple[str, bool]]:
    """Every module that a file imports, wherever in it, and whether it is ours (then named from ``plugins`` on)."""
    package = path.relative_to(PLUGINS).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = (COLLECTION if node.level else "") + ".".join((*above, node.module) if node.module else above)
            # What is imported from a package may be a module of it.
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}".removeprefix(COLLECTION) in KNOWN else base for alias in node.names]
        else:
            continue
        for name in names:
            yield name.removeprefix(COLLECTION), name.startswith(COLLECTION)


def inside(name: str, rooms: t.Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(name: str) -> str:
    return next(room for room in ROOMS if inside(name, [room]))


def each(*rooms: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [path for path in FILES if inside(module(path), rooms)], ids=module)


@each(*ROOMS)
def test_no_import_goes_against_the_rule(path: pathlib.Path) -> None:
    room = room_of(module(path))
    assert [name for name, ours in imports(path) if ours and not inside(name, (room, *ROOMS[room]))] == []


def test_no_import_cycle() -> None:
    """Imports within functions count: they hide a cycle from Python, not from a reader."""
    graph = {module(path): {name for name, ours in imports(path) if ours} for path in FILES}
    graphlib.TopologicalSorter(graph).prepare()


def test_every_plugin_is_in_a_room() -> None:
    assert [name for name in sorted(KNOWN) if not inside(name, ROOMS) and name not in ("plugin_utils", "")] == []


@each("module_utils")
def test_the_robot_needs_the_standard_library_alone(path: pathlib.Path) -> None:
    assert {name.partition(".")[0] for name, ours in imports(path) if not ours} <= sys.stdlib_module_names


@each(*COMPILER)
def test_the_compiler_needs_yaml_and_nothing_that_changes(path: pathlib.Path) -> None:
    foreign = {name.partition(".")[0] for name, ours in imports(path) if not ours}
    assert foreign <= (sys.stdlib_module_names | {"yaml"}) - IMPURE


def test_the_wire_format_and_resources_stand_below_the_engine() -> None:
    """The plan knows nobody; a kind of resource knows nothing that knows of resources."""
    known = {module(path): {name for name, ours in imports(path) if ours} for path in FILES if inside(module(path), ["module_utils"])}
    assert known[PLAN] == set()
    above = {name for name, imported in known.items() if any(inside(each, ["module_utils.resources"]) for each in imported)}
    for name, imported in known.items():
        if inside(name, ["module_utils.resources"]):
            assert not {each for each in imported & above if not inside(each, ["module_utils.resources"])}, name
