# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action and its documentation page say the same: its arguments option by option, and every key that it returns."""

from __future__ import annotations

import ast
import importlib
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.doc_fragments.deployment import ModuleDocFragment

PLUGINS = pathlib.Path(__file__).resolve().parents[3] / "plugins"
ACTIONS = sorted(path.stem for path in (PLUGINS / "action").glob("*.py") if path.stem != "__init__")
PACKAGE = "ansible_collections.k8s4r.robot.plugins"


def documented(name: str) -> dict:
    """The options of a page, with those of its fragments."""
    page = yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{name}").DOCUMENTATION)
    assert page["module"] == name
    options = dict(page.get("options", {}))
    for fragment in page["extends_documentation_fragment"]:
        part = fragment.removeprefix("k8s4r.robot.deployment").lstrip(".") or "documentation"
        options.update(yaml.safe_load(getattr(ModuleDocFragment, part.upper())).get("options", {}))
    return options


@pytest.mark.parametrize("name", ACTIONS)
def test_documentation_and_arguments_agree(name):
    arguments = importlib.import_module(f"{PACKAGE}.action.{name}").ActionModule.ARGUMENTS
    options = documented(name)
    assert sorted(options) == sorted(arguments)
    for option, rules in arguments.items():
        page = {key: value for key, value in options[option].items() if key in ("type", "choices", "default", "required", "elements")}
        assert page == rules, option


# What Ansible itself describes for every module.
COMMON = {"changed", "failed", "msg", "skipped", "warnings"}
# Files of the engine whose answers an action passes on, and keys of these that are meant for the action alone.
ENGINE = {"prepare": "change/staging", "switch": "change/conclusion", "status": "requests/status"}
FOR_THE_ACTION = {"prepare": {"before", "notices", "capabilities", "ports", "mesh"}, "switch": {"errors", "notices", "mesh"}}
# What an action passes on from a module.
PASSED_ON = {"entries": {"created", "updated", "deleted", "superfluous"}}


def displays(tree: ast.AST) -> t.Iterator[dict[str, ast.expr]]:
    """Every dictionary that is written out below, by those of its keys that are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield {key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)}


def outermost(node: ast.AST, named: dict[str, ast.expr]) -> t.Iterator[str]:
    """The keys of a dictionary that is written out, and of those that it takes in with ``**``, but not of its values.

    ``named`` are the expressions behind local names.
    """
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield key.value
            elif key is None:
                yield from outermost(value, named)
    elif isinstance(node, ast.IfExp):
        yield from outermost(node.body, named)
        yield from outermost(node.orelse, named)
    elif isinstance(node, ast.Name) and isinstance(named.get(node.id), ast.Dict):
        yield from outermost(named[node.id], named)


def returned(name: str) -> set[str]:
    """What the source says that an action returns: every dictionary that a method of it returns, and the engine's answers."""
    (path,) = (PLUGINS / "plugin_utils" / "actions").rglob(f"{name}.py")
    source = path.read_text()
    (action,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "ActionModule"]
    nodes = list(ast.walk(action))
    named = {
        target.id: node.value for node in nodes if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    }
    found = {key for node in nodes if isinstance(node, ast.Return) and node.value for key in outermost(node.value, named)}
    if name in ENGINE:
        engine = ast.parse((PLUGINS / "module_utils" / "_engine" / f"{ENGINE[name]}.py").read_text())
        answers = [answer.keys() for answer in displays(engine) if "status" in answer]
        assert answers, f"no answer in {ENGINE[name]}.py"
        found |= set().union(*answers) - FOR_THE_ACTION.get(name, set())
    return found | PASSED_ON.get(name, set())


@pytest.mark.parametrize("name", ACTIONS)
def test_documentation_and_results_agree(name):
    page = yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{name}").RETURN)
    assert sorted(page.keys() - COMMON) == sorted(returned(name) - COMMON)
    for key, value in page.items():
        assert {"description", "returned", "type"} <= value.keys(), key
