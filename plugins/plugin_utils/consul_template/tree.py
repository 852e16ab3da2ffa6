# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a template is made of, once it is parsed."""

from __future__ import annotations

import typing as t


class Text(t.NamedTuple):
    text: str


class Value(t.NamedTuple):
    """A constant."""

    value: t.Any


class Call(t.NamedTuple):
    """A function and its arguments, if any."""

    line: int
    name: str
    arguments: tuple[t.Any, ...]


class Reach(t.NamedTuple):
    """Fields of a value: of a variable, of the dot (`base` is None), or of a pipeline in parentheses."""

    line: int
    base: t.Any
    fields: tuple[str, ...]
    arguments: tuple[t.Any, ...] = ()


class Variable(t.NamedTuple):
    line: int
    name: str


class Pipeline(t.NamedTuple):
    """Commands, each of which gets the value of the one before it as its last argument. `variables` are set to the result."""

    line: int
    variables: tuple[str, ...]
    declares: bool
    commands: tuple[t.Any, ...]


class Action(t.NamedTuple):
    pipeline: Pipeline


class Branch(t.NamedTuple):
    """if, with or range."""

    line: int
    kind: str
    pipeline: Pipeline
    body: tuple[t.Any, ...]
    otherwise: tuple[t.Any, ...]


class Leave(t.NamedTuple):
    """break or continue."""

    kind: str


class Use(t.NamedTuple):
    """A template that is defined elsewhere in the text."""

    line: int
    name: str
    pipeline: Pipeline | None


Nodes = tuple[t.Any, ...]


class Template(t.NamedTuple):
    body: Nodes
    defined: t.Mapping[str, Nodes]
