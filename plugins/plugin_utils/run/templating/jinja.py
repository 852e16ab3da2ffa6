# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates in Jinja: in a sandbox of their own, with no file and no program. Ansible's own templar never sees them."""

from __future__ import annotations

import base64
import contextlib
import inspect
import itertools
import json
import re
import typing as t

import jinja2
import yaml
from jinja2 import meta, nodes, sandbox
from jinja2.exceptions import SecurityError

from . import memory

# By this name, a template has the task's environment.
ENVIRONMENT = "env"
# Characters. No configuration file is larger.
LARGEST = 2**20
COMMENT = "{# begins a comment; write {{ '{#' }} for the characters themselves"
# What the code of a template is called in tracebacks.
_TEMPLATE = "<template>"
_NAME = re.compile(r"'([^']+)' is undefined|has no (?:attribute|element) '?([^']+?)'?$")


class Wrong(Exception):
    """What is wrong with a template, without any value, and its line."""

    def __init__(self, line: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line, self.remedy = line, remedy
        self.also: list[Wrong] = []


class _Sandbox(sandbox.ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: t.Any, operator: str, left: t.Any, right: t.Any) -> t.Any:
        """Keep numbers and texts from growing without bound."""
        if operator == "**" and not (abs(left) < 2**32 and abs(right) < 64):
            raise OverflowError
        sizes = [len(each) for each in (left, right) if isinstance(each, (str, list, tuple))]
        if operator == "*" and sizes and sizes[0] * (right if isinstance(right, int) else left) > LARGEST:
            raise OverflowError
        return super().call_binop(context, operator, left, right)


class Template:
    """A template whose syntax is right; raises `Wrong` if it is not. `names` are the variables that it uses."""

    def __init__(self, text: str, left: str, right: str) -> None:
        self._text = text
        self._environment = _environment(left, right)
        try:
            tree = self._environment.parse(text)
            for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
                raise Wrong(node.lineno, "a template cannot include another file", "write it into this one")
            self.names = frozenset(meta.find_undeclared_variables(tree) - set(self._environment.globals))
            self._template = self._environment.from_string(tree)
        except jinja2.TemplateSyntaxError as error:
            remedy = COMMENT if "comment tag" in str(error.message) else ""
            raise Wrong(error.lineno, f"is not valid Jinja: {error.message}", remedy) from None
        except MemoryError:
            raise Wrong(0, memory.SAID, memory.REMEDY) from None
        except (RecursionError, SyntaxError, ValueError) as error:
            raise Wrong(0, f"is more than Jinja can read ({type(error).__name__})", "simplify it") from None

    def render(self, variables: t.Mapping[str, t.Any]) -> str:
        """Raises `Wrong`."""
        made: list[str] = []
        size = 0
        try:
            for piece in self._template.generate(variables):
                size += len(piece)
                if size > LARGEST:
                    raise Wrong(0, f"renders to more than {LARGEST // 2**20} MiB")
                made.append(piece)
        except jinja2.UndefinedError as error:
            raise self._all_undefined(variables, self._undefined(_line(error), str(error))) from None
        except SecurityError as error:
            raise Wrong(_line(error), "does something that templates are not allowed to do") from None
        except Wrong:
            raise
        except MemoryError as error:
            raise Wrong(_line(error), memory.SAID, memory.REMEDY) from None
        # Filters and operators raise whatever Python and its libraries raise, and the texts of these errors repeat values.
        except Exception as error:
            raise Wrong(_line(error), f"cannot be evaluated ({type(error).__name__})") from None
        return "".join(made)

    def _undefined(self, line: int, message: str, of_task: bool = False) -> Wrong:
        """Something that is undefined, by a name that is written in the template; one that was computed may be a secret. `of_task`: it is
        looked for in the task's environment.
        """
        found = _NAME.search(message)
        name = found and (found.group(1) or found.group(2))
        called = name if name and name in self._text else "something in it"
        if of_task:
            return Wrong(line, f"{called} is not in the environment of the task", "give it in env of the task, or write a default")
        return Wrong(line, f"{called} is undefined", "define it for the robot, or write a default")

    def _all_undefined(self, variables: t.Mapping[str, t.Any], first: Wrong) -> Wrong:
        """What is undefined, all as one: the template is evaluated once more, with nothing in its places."""
        noted: list[Wrong] = []
        given = variables.get(ENVIRONMENT)

        def note(undefined: jinja2.Undefined) -> str:
            of_task = undefined._undefined_obj is given
            noted.append(self._undefined(_line_now(template), undefined._undefined_message, of_task))
            return ""

        class Noted(jinja2.ChainableUndefined):
            def __str__(self) -> str:
                return note(self)

            def __iter__(self) -> t.Iterator[t.Any]:
                return iter(note(self))

            def __len__(self) -> int:
                return len(note(self))

            def __bool__(self) -> bool:
                return bool(note(self))

        template = self._environment.overlay(undefined=Noted).from_string(self._text)
        # Whatever else goes wrong may be because of them.
        with contextlib.suppress(Exception):
            for _piece in itertools.islice(template.generate(variables), LARGEST):
                pass
        if first.line not in {each.line for each in noted}:
            noted.insert(0, first)
        found = {(each.line, str(each)): each for each in noted}
        first, *others = found.values()
        first.also += others
        return first


def _line_now(template: jinja2.Template) -> int:
    """Where in the template it is just now; 0 where that is not known."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename != _TEMPLATE:
        frame = frame.f_back
    return template.get_corresponding_lineno(frame.f_lineno) if frame else 0


def _line(error: BaseException) -> int:
    """Where in the template it was raised; 0 where that is not known."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _TEMPLATE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _environment(left: str, right: str) -> jinja2.Environment:
    """As in Ansible's `template` module, a line break after a statement is removed, and the one at the end of the file is kept."""
    environment = _Sandbox(
        variable_start_string=left,
        variable_end_string=right,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        autoescape=False,
    )
    environment.globals = {name: environment.globals[name] for name in ("range", "dict", "namespace", "joiner", "cycler")}
    environment.filters.update(_FILTERS)
    return environment


def _defined(value: t.Any) -> t.Any:
    """Raises the error of an undefined variable, before json and yaml say only that they cannot write it."""
    return str(value) if isinstance(value, jinja2.Undefined) else value


def _json(value: t.Any) -> str:
    return json.dumps(_defined(value), sort_keys=True, ensure_ascii=False)


def _nice_json(value: t.Any, indent: int = 4) -> str:
    return json.dumps(_defined(value), indent=indent, sort_keys=True, ensure_ascii=False)


def _yaml(value: t.Any, indent: int = 2) -> str:
    return yaml.safe_dump(_defined(value), indent=indent, default_flow_style=False, allow_unicode=True)


def _regex_replace(value: t.Any, pattern: str, replacement: str) -> str:
    return re.sub(pattern, replacement, str(value))


# The filters of Ansible's that configuration files need most.
_FILTERS: t.Mapping[str, t.Callable[..., t.Any]] = {
    "b64decode": lambda value: base64.b64decode(str(value)).decode(),
    "b64encode": lambda value: base64.b64encode(str(value).encode()).decode(),
    "bool": lambda value: str(value).lower() in ("1", "true", "yes", "on", "y", "t"),
    "regex_replace": _regex_replace,
    "ternary": lambda value, true, false: true if value else false,
    "to_json": _json,
    "to_nice_json": _nice_json,
    "to_nice_yaml": lambda value, indent=4: _yaml(value, indent),
    "to_yaml": _yaml,
}
