# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering a template with the variables of a task."""

from __future__ import annotations

import typing as t

from ..job.errors import listed
from . import tree
from .faults import Fault, Refusal, together
from .functions import FUNCTIONS, SERVICES, SPECIAL, WHOLE
from .functions.arithmetic import LONGEST_LOOP
from .values import NO_VALUE, NOTHING, NoValue, Record, Texts, kind, shown, truth

# Characters of the result. No configuration file is larger.
LARGEST = 2**20
# How deeply templates may be nested.
DEEPEST = 100


# Gives the instances of a service by its name; raises `Refusal`.
Lookup = t.Callable[[str], t.Sequence[t.Mapping[str, t.Any]]]


def _nothing_offered(_name: str) -> t.NoReturn:
    raise Refusal("there are no services here")


def render(template: tree.Template, environment: t.Mapping[str, str], services: Lookup = _nothing_offered) -> str:
    """Raises `Fault`."""
    return _Evaluator(template, environment, services).result()


_INSTANCES = "an instance of a service, or a list of them,"
_FIELD = "write one of its fields, such as .Address"


def _is_whole(value: t.Any) -> bool:
    return isinstance(value, Record) or (isinstance(value, list) and any(isinstance(each, Record) for each in value))


class _Break(Exception):
    """break."""


class _Continue(Exception):
    """continue."""


class _Evaluator:
    def __init__(self, template: tree.Template, environment: t.Mapping[str, str], services: Lookup) -> None:
        self._template, self._environment, self._services = template, environment, services
        self._made: list[str] = []
        self._size = 0
        self._depth = 0
        self._variables: list[tuple[str, t.Any]] = [("$", NOTHING)]
        # Variables and services that must be there, and are not: all of them are reported at once.
        self._missing: list[Fault] = []

    def result(self) -> str:
        try:
            self._walk(self._template.body, NOTHING)
        except RecursionError:
            raise Fault(1, "is nested too deeply to be evaluated") from None
        except Fault as fault:
            # Without what is missing, the rest need not be as it was meant.
            raise together(self._missing or [fault]) from None
        if self._missing:
            raise together(self._missing)
        return "".join(self._made)

    def _write(self, text: str, line: int) -> None:
        self._size += len(text)
        if self._size > LARGEST:
            raise Fault(line, f"renders to more than {LARGEST // 2**20} MiB")
        self._made.append(text)

    def _walk(self, nodes: tree.Nodes, dot: t.Any) -> None:
        for node in nodes:
            if isinstance(node, tree.Text):
                self._write(node.text, 1)
            elif isinstance(node, tree.Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    if _is_whole(value):
                        raise Fault(node.pipeline.line, f"prints {_INSTANCES} as a whole", _FIELD)
                    self._write(shown(value), node.pipeline.line)
            elif isinstance(node, tree.Branch):
                self._branch(node, dot)
            elif isinstance(node, tree.Use):
                self._use(node, dot)
            else:
                raise (_Break if node.kind == "break" else _Continue)

    def _branch(self, node: tree.Branch, dot: t.Any) -> None:
        visible = len(self._variables)
        try:
            if node.kind == "range":
                self._range(node, dot)
                return
            value = self._pipeline(node.pipeline, dot)
            inner = value if node.kind == "with" else dot
            if truth(value):
                self._walk(node.body, inner)
            else:
                self._walk(node.otherwise, dot)
        finally:
            del self._variables[visible:]

    def _range(self, node: tree.Branch, dot: t.Any) -> None:
        pipeline = node.pipeline
        value = self._commands(pipeline, dot)
        members = self._members(value, node.line)
        if not members:
            self._walk(node.otherwise, dot)
            return
        if pipeline.declares:
            self._variables += [(name, None) for name in pipeline.variables]
        inside = len(self._variables)
        for key, member in members:
            values = (member,) if len(pipeline.variables) == 1 else (key, member)
            for name, each in zip(pipeline.variables, values, strict=False):
                self._set(name, each)
            try:
                self._walk(node.body, member)
            except _Continue:
                pass
            except _Break:
                break
            finally:
                del self._variables[inside:]

    def _members(self, value: t.Any, line: int) -> list[tuple[t.Any, t.Any]]:
        if value is None or isinstance(value, NoValue):
            return []
        if isinstance(value, dict):
            return sorted(value.items())
        if isinstance(value, list):
            return list(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool) and value <= LONGEST_LOOP:
            return list(enumerate(range(value)))
        raise Fault(line, f"range cannot go over {kind(value)}")

    def _use(self, node: tree.Use, dot: t.Any) -> None:
        body = self._template.defined.get(node.name)
        if body is None:
            raise Fault(node.line, "uses a template that is not defined", "add {{ define ... }}")
        self._depth += 1
        if self._depth > DEEPEST:
            raise Fault(node.line, f"nests more than {DEEPEST} templates")
        inner = self._pipeline(node.pipeline, dot) if node.pipeline else NOTHING
        outer, self._variables = self._variables, [("$", inner)]
        self._walk(body, inner)
        self._variables = outer
        self._depth -= 1

    def _pipeline(self, pipeline: tree.Pipeline, dot: t.Any) -> t.Any:
        value = self._commands(pipeline, dot)
        for name in pipeline.variables:
            if pipeline.declares:
                self._variables.append((name, value))
            else:
                self._set(name, value)
        return value

    def _set(self, name: str, value: t.Any) -> None:
        at = max(number for number, (each, _value) in enumerate(self._variables) if each == name)
        self._variables[at] = (name, value)

    def _commands(self, pipeline: tree.Pipeline, dot: t.Any) -> t.Any:
        value: t.Any = None
        for number, command in enumerate(pipeline.commands):
            value = self._value(command, dot, (value,) if number else ())
        return value

    def _value(self, node: t.Any, dot: t.Any, more: tuple[t.Any, ...] = ()) -> t.Any:
        """The value of a node. `more` has the value that a pipeline passes on, a function's last argument."""
        if isinstance(node, tree.Call):
            try:
                return self._call(node, dot, more)
            except Refusal as refusal:
                raise Fault(node.line, str(refusal), refusal.remedy) from None
        if isinstance(node, tree.Value):
            return node.value
        if isinstance(node, tree.Variable):
            return next(value for name, value in reversed(self._variables) if name == node.name)
        if isinstance(node, tree.Pipeline):
            return self._pipeline(node, dot)
        if node.arguments or more:
            raise Fault(node.line, "gives arguments to something that is not a function")
        base = dot if node.base is None else self._value(node.base, dot)
        for field in node.fields:
            base = self._field(base, field, node.line)
        return base

    def _field(self, value: t.Any, name: str, line: int) -> t.Any:
        if value is NOTHING:
            return NOTHING
        if not isinstance(value, dict):
            raise Fault(line, f"asks for .{name} of {'nothing' if value is None else kind(value)}")
        if isinstance(value, Record) and name not in value:
            fields = listed([f".{each}" for each in sorted(value)], "and")
            raise Fault(line, f"an instance of a service has no .{name} here", f"it has {fields}")
        return value.get(name, "" if isinstance(value, Texts) else NO_VALUE)

    def _call(self, node: tree.Call, dot: t.Any, more: tuple[t.Any, ...]) -> t.Any:
        if node.name in ("and", "or"):
            return self._logic(node, dot, more)
        arguments = (*(self._value(argument, dot) for argument in node.arguments), *more)
        if node.name in SERVICES:
            return self._instances(node, arguments)
        if node.name not in WHOLE and any(map(_is_whole, arguments)):
            raise Refusal(f"{node.name} cannot take {_INSTANCES} as a whole", _FIELD)
        if node.name in SPECIAL:
            return self._env(node, arguments)
        return FUNCTIONS[node.name](*arguments)

    def _logic(self, node: tree.Call, dot: t.Any, more: tuple[t.Any, ...]) -> t.Any:
        """The first argument that decides, or the last one. Those after it are not evaluated."""
        if not node.arguments and not more:
            raise Refusal(f"{node.name} takes at least 1 argument")
        value: t.Any = None
        for argument in node.arguments:
            value = self._value(argument, dot)
            if truth(value) == (node.name == "or"):
                return value
        return more[0] if more else value

    def _instances(self, node: tree.Call, arguments: t.Sequence[t.Any]) -> list[Record]:
        if len(arguments) != 1 or not isinstance(arguments[0], str):
            raise Refusal(f"{node.name} takes the name of a service, and nothing else")
        try:
            return [Record(instance) for instance in self._services(arguments[0])]
        except Refusal as refusal:
            # A name that was computed may be a secret.
            computed = not (node.arguments and isinstance(node.arguments[0], tree.Value))
            message = f"{node.name} is given a name that no task of this run offers" if computed else str(refusal)
            self._missing.append(Fault(node.line, message, "" if computed else refusal.remedy))
            return []

    def _env(self, node: tree.Call, arguments: t.Sequence[t.Any]) -> str:
        name = node.name
        wanted = 2 if name == "envOrDefault" else 1
        if len(arguments) != wanted or not all(isinstance(argument, str) for argument in arguments):
            raise Refusal(f"{name} takes {'a name and a default, both texts' if wanted == 2 else 'the name of a variable'}")
        value = self._environment.get(arguments[0])
        if name == "mustEnv" and not value:
            # A name that was computed may be a secret.
            called = arguments[0] if node.arguments and isinstance(node.arguments[0], tree.Value) else "that mustEnv asks for"
            message = f"the variable {called} is empty, or not in the environment of the task"
            self._missing.append(Fault(node.line, message, "give it in env of the task"))
        return (arguments[1] if wanted == 2 else "") if value is None else str(value)
