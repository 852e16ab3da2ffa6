# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The import rule of docs/architecture.md: what a room may know of, and nothing against it."""

from __future__ import annotations

import ast
import collections
import functools
import pathlib
import sys
import typing as t

import graphlib
import pytest

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "plugins"
COLLECTION = "ansible_collections.k8s4r.robot.plugins."

ENGINE = "module_utils._engine"
PLAN = f"{ENGINE}.plan"
BYTECODE = "plugin_utils.bytecode"
VOCABULARY = "plugin_utils.job.model.vocabulary"
# They import nothing of ours but themselves.
ALONE = (PLAN, f"{ENGINE}.say")
# A package, and what of ours it may import beside itself.
PACKAGES = {
    "plugin_utils.job": (),
    "plugin_utils.fleet": ("plugin_utils.job", "module_utils._provision.names"),
    "plugin_utils.envoy": ("plugin_utils.job",),
    "plugin_utils.consul_template": ("plugin_utils.job",),
    "plugin_utils.compile": ("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.envoy", PLAN),
    "plugin_utils.home": (VOCABULARY,),
    "plugin_utils.supply": ("plugin_utils.home", PLAN, f"{ENGINE}.fetch", f"{ENGINE}.say.forms"),
    "plugin_utils.transport": (VOCABULARY, PLAN),
    "plugin_utils.run": (
        *("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.consul_template", "plugin_utils.compile"),
        *("plugin_utils.home", "plugin_utils.transport"),
        PLAN,
    ),
    "plugin_utils.show": ("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.run"),
    "plugin_utils.actions": ("plugin_utils", "module_utils._provision"),
    BYTECODE: (),
    "module_utils._provision": (),
    ENGINE: (),
    "action": (BYTECODE,),
    "modules": ("module_utils._provision",),
    "doc_fragments": (),
}
# The floors of a package, from the ground up: a room imports from floors below its own, never from beside or above it.
FLOORS = {
    ENGINE: (
        ("plan", "say"),
        ("system",),
        ("fetch", "state"),
        ("consul", "pods", "resources"),
        ("checks", "dns", "judge", "logs", "mesh", "usage"),
        ("change",),
        ("requests",),
    ),
    "plugin_utils.job": (
        ("addresses", "cron", "errors"),
        ("declare",),
        ("model", "substitution"),
        ("getters", "labels", "variables"),
        ("rules",),
        ("read",),
        ("publish",),
    ),
    "plugin_utils.consul_template": (
        ("faults",),
        ("values", "tree"),
        ("functions",),
        ("lexer", "dialect"),
        ("literals", "words"),
        ("parser", "evaluator"),
    ),
    "plugin_utils.compile": (
        ("lines", "names", "paths", "systemd"),
        ("helpers", "site"),
        ("content", "fitness", "isolation", "network"),
        ("units",),
        ("mesh",),
        ("group",),
        ("robot",),
    ),
}
HIGHEST = 7
LARGEST = 12
COMPILER = ("plugin_utils.job", "plugin_utils.fleet", "plugin_utils.envoy", "plugin_utils.consul_template", "plugin_utils.compile")
# The same input gives the same bytes: neither the machine nor the clock nor chance is asked.
IMPURE = {"datetime", "glob", "io", "os", "random", "secrets", "shutil", "socket", "subprocess", "tempfile", "time", "uuid"}
# Read when the compiler is loaded, as its code is: the programs that units call, which are files beside this one.
HELPERS = "plugin_utils.compile.helpers"
# What the compiler reads in the same way: it is joined with the program.
JOINED = "plugin_utils.compile.lines"
READING = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "iterdir", "glob", "rglob"}
FILES = sorted(path for path in PLUGINS.rglob("*.py") if "__pycache__" not in path.parts)


def module(path: pathlib.Path) -> str:
    """``plugin_utils.job.reader`` of its path."""
    parts = path.relative_to(PLUGINS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {module(path) for path in FILES}


@functools.cache
def imports(path: pathlib.Path) -> tuple[tuple[str, bool], ...]:
    """Every module that a file imports, wherever in it, and whether it is ours (then named from ``plugins`` on)."""
    package = path.relative_to(PLUGINS).parent.parts
    found = []
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
        found += [(name.removeprefix(COLLECTION), name.startswith(COLLECTION)) for name in names]
    return tuple(found)


def inside(name: str, rooms: t.Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def helper(path: pathlib.Path) -> bool:
    """Whether the file is a program that the compiler copies to robots."""
    return inside(module(path), [HELPERS]) and module(path) != HELPERS


def package_of(name: str) -> str:
    return next(package for package in PACKAGES if inside(name, [package]))


def each(*packages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [path for path in FILES if inside(module(path), packages)], ids=module)


@each(*PACKAGES)
def test_no_import_goes_against_the_rule(path: pathlib.Path) -> None:
    package = package_of(module(path))
    assert [name for name, ours in imports(path) if ours and not inside(name, (package, *PACKAGES[package]))] == []


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_its_floor(package: str) -> None:
    rooms = [room for floor in FLOORS[package] for room in floor]
    found = {name.removeprefix(f"{package}.").partition(".")[0] for name in KNOWN if name.startswith(f"{package}.")}
    assert found == set(rooms)
    assert len(rooms) == len(found)
    assert len(FLOORS[package]) <= HIGHEST


@each(*FLOORS)
def test_no_arrow_goes_up(path: pathlib.Path) -> None:
    package = package_of(module(path))
    floor_of = {f"{package}.{room}": number for number, floor in enumerate(FLOORS[package]) for room in floor}

    def room_of(name: str) -> str | None:
        return next((room for room in floor_of if inside(name, [room])), None)

    own = room_of(module(path))
    if own is None:  # the package's own, empty file
        return
    others = {room for name, ours in imports(path) if ours and (room := room_of(name)) and room != own}
    assert {room for room in others if floor_of[room] >= floor_of[own]} == set()


@each("action")
def test_an_action_is_loaded_with_bytecode_and_nothing_is_without(path: pathlib.Path) -> None:
    (name,) = (name for name in KNOWN if inside(name, ["plugin_utils.actions"]) and name.rpartition(".")[2] == path.stem)
    assert f'load("{name}").ActionModule' in path.read_text(encoding="utf-8")


def test_no_room_is_crowded() -> None:
    """The folders of plugins themselves are flat by Ansible's own rule: what is below them is ours to divide."""
    sizes = collections.Counter(path.parent for path in FILES if path.name != "__init__.py" and path.parent.parent != PLUGINS)
    assert {str(room.relative_to(PLUGINS)): size for room, size in sizes.items() if size > LARGEST} == {}


def test_no_import_cycle() -> None:
    """Imports within functions count: they hide a cycle from Python, not from a reader."""
    graph = {module(path): {name for name, ours in imports(path) if ours} for path in FILES}
    graphlib.TopologicalSorter(graph).prepare()


def test_every_plugin_is_in_a_package() -> None:
    outside = ("plugin_utils", "module_utils", "")
    assert [name for name in sorted(KNOWN) if not inside(name, PACKAGES) and name not in outside] == []


@each("module_utils")
def test_the_robot_needs_the_standard_library_alone(path: pathlib.Path) -> None:
    assert {name.partition(".")[0] for name, ours in imports(path) if not ours} <= sys.stdlib_module_names


@each(*COMPILER)
def test_the_compiler_needs_yaml_and_nothing_that_changes(path: pathlib.Path) -> None:
    foreign = {name.partition(".")[0] for name, ours in imports(path) if not ours}
    assert foreign <= (sys.stdlib_module_names | {"yaml"}) - (set() if helper(path) else IMPURE)


@each(*(f"{ENGINE}.{room}" for room in ("say", "system", "state", "judge", "change", "requests")))
def test_a_kind_of_resource_is_known_in_its_own_file(path: pathlib.Path) -> None:
    """A new kind is one file and its row in kinds.py: nobody else asks which kind a resource is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = ("kind", "union", "always", "init", "once", ".target", ".slice")
    assert [(node.lineno, node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in own] == []


@each(*(f"{ENGINE}.{room}" for room in ("judge", "change", "requests")))
def test_kinds_are_asked_through_what_all_of_them_answer(path: pathlib.Path) -> None:
    resources = f"{ENGINE}.resources"
    named = {name for name, _ours in imports(path) if inside(name, [resources])}
    assert named <= {f"{resources}.kinds", f"{resources}.shape", f"{resources}.asking"}


@each(*COMPILER)
def test_the_compiler_reads_no_file_but_its_own_helpers(path: pathlib.Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    called = {call.attr if isinstance(call, ast.Attribute) else call.id for call in calls if isinstance(call, (ast.Attribute, ast.Name))}
    # A helper itself runs on the robot.
    assert helper(path) or called & READING == ({"read_text"} if module(path) == HELPERS else set())


@pytest.mark.parametrize("path", [path for path in FILES if helper(path)], ids=module)
def test_a_helper_is_a_program_of_its_own(path: pathlib.Path) -> None:
    """It runs on the robot, where nothing of ours is, and nothing of ours imports it."""
    assert {name.partition(".")[0] for name, ours in imports(path) if not ours} <= sys.stdlib_module_names
    # One of several files: these are joined.
    own = module(path.parent) if path.parent.name != "helpers" else module(path)
    assert not [name for name, ours in imports(path) if ours and not inside(name, [own, JOINED])]
    assert not [other for other in FILES if module(path) in dict(imports(other)) and not inside(module(other), [own])]


@pytest.mark.parametrize("room", ALONE)
def test_the_wire_format_and_words_import_nothing_of_ours(room: str) -> None:
    paths = [path for path in FILES if inside(module(path), [room])]
    assert paths, f"{room} is no longer there: correct its name here"
    assert [(module(path), name) for path in paths for name, ours in imports(path) if ours and not inside(name, [room])] == []


@pytest.mark.parametrize("room", [room for floor in FLOORS["plugin_utils.compile"] for room in floor])
def test_a_room_of_the_compiler_states_what_belongs_in_it(room: str) -> None:
    [path] = [path for path in FILES if module(path) == f"plugin_utils.compile.{room}"]
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
