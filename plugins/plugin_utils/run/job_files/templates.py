# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the text of a job file that is a template tells: where a mistake in it is, and whether it may run programs."""

from __future__ import annotations

import pathlib
import re
import typing as t

import jinja2
from jinja2 import meta, nodes

# What Ansible calls the functions that read files, ask servers and run programs on the controller.
LOOKUPS = frozenset(("lookup", "query", "q"))
# Begins a first line with options for Jinja, which only Ansible knows.
OVERRIDES = "#jinja2:"
_UNKNOWN_NAME = re.compile(r"'([^']+)' is undefined|has no attribute '([^']+)'")


def may_use_lookups(text: str, directory: pathlib.Path) -> bool:
    """Whether a template, or a file that it includes from the directory, names a lookup; also true where that cannot be told.

    A text with a mistake is one that cannot be told, though it would not render: Ansible reads backslashes in another way than Jinja, so
    what is a mistake here may be none there.
    """
    waiting, seen = [text], {""}
    while waiting:
        text = waiting.pop()
        if text.startswith(OVERRIDES):
            # Ansible takes other delimiters from such a line, and this parser does not.
            return True
        tree = _parsed(text)
        if tree is None or any(node.name in LOOKUPS for node in tree.find_all(nodes.Name)):
            return True
        for name in meta.find_referenced_templates(tree):
            # Jinja finds a name below the directory, also one that begins with a slash.
            if name is None:
                return True
            included = directory / name.lstrip("/")
            # What is no file here is none to Jinja either.
            if name not in seen and included.is_file():
                waiting.append(included.read_text(encoding="utf-8", errors="replace"))
            seen.add(name)
    return False


def mistake(text: str) -> jinja2.TemplateSyntaxError | None:
    """The mistake in a template's syntax, as Jinja has it; None where there is none, or where Jinja is to be told of other delimiters."""
    if text.startswith(OVERRIDES):
        return None
    try:
        _environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        return error
    return None


def line_of(text: str, error: BaseException) -> int:
    """The line where the mistake is that Ansible reports; 0 where that is not known."""
    cause = error.__cause__
    if isinstance(cause, jinja2.TemplateSyntaxError):
        return cause.lineno
    unknown = _UNKNOWN_NAME.search(str(error))
    tree = _parsed(text) if unknown else None
    if unknown is None or tree is None:
        return 0
    name = unknown.group(1) or unknown.group(2)
    return min((node.lineno for node in _named(tree, name)), default=0)


def _named(tree: nodes.Template, name: str) -> t.Iterator[nodes.Node]:
    """Where a template names a variable, an attribute or a key."""
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Const)):
        if name in (getattr(node, "name", None), getattr(node, "attr", None), getattr(node, "value", None)):
            yield node


def _parsed(text: str) -> nodes.Template | None:
    """The template's syntax; None where it has a mistake, which rendering reports."""
    try:
        return _environment().parse(text)
    except jinja2.TemplateSyntaxError:
        return None


def _environment() -> jinja2.Environment:
    return jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], autoescape=True)
