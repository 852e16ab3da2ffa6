# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of the job file, docs/job-format.md and docs/task-format.md, generated from the model."""

from __future__ import annotations

import enum
import functools
import inspect
import typing as t

from ..declare import quantities
from ..declare.keys import Bytes, Key, Millicores, Seconds, Support
from ..declare.shape import Field, fields
from ..model.job import Job
from ..model.task import InitTask, Task
from ..model.vocabulary import Reserved
from ..read import document, scalars
from ..read.nodes import MAX_BYTES, MAX_DEPTH, MAX_NODES

_TYPES = {str: "text", int: "whole number", bool: "`true`, `false`", Millicores: "CPU", Bytes: "memory", Seconds: "duration"}

_GENERATED = "<!-- Generated from plugins/plugin_utils/job/model/ by tests/unit/plugin_utils/job/generated.py. -->\n"

_INTRODUCTION = f"""\
{_GENERATED}
# The job file

A job file is YAML. It describes groups of programs and where they run. There are two forms with the same meaning, and
one file may hold several documents.

In the short form the job's keys are at the top. `name` may be left out: the job then has the file's name, without its
ending.

```yaml
# yaml-language-server: $schema=../schemas/job.schema.json
name: hello
taskGroups:
  - name: hello
    tasks:
      - name: say
        config:
          execConfig: {{command: sh, args: ["-c", "while echo hello; do sleep 5; done"]}}
```

A k8s4r document has `apiVersion: {document.API_VERSION}` and `kind: {document.KIND}`. `metadata` holds the job's `name` and
`namespace`, and `spec` holds its other keys. If `spec.name` is given, it must be the same name. `status`, labels,
annotations and whatever else a server writes into `metadata` are ignored.

Editors check a file against `schemas/job.schema.json` while you type. `k8s4r.robot.validate` also checks what a schema
cannot express: names used twice, conflicting ports, ranges of quantities. It needs neither robots nor an inventory.

## Values

- **text**: values that YAML would turn into something else (`0123`, `12:30`, `yes`, `2026-11-20`) are refused where text
  is expected: quote them. Jinja is not rendered, with two exceptions: a task's [templates](templates.md), and a job file
  named `*.j2`, which is rendered once, as a whole, before it is read. A NUL character is refused, because no program can be
  given one.
- **name**: 1 to 63 letters, digits and `.` `_` `-`, with a letter or digit at both ends.
- **CPU**: cores, such as `500m`, `0.5` or `2`; at most 64. **memory**: a number with `Ki`, `Mi`, `Gi`, `k`, `M` or `G`,
  such as `128Mi`. Both are Kubernetes quantities, and fractions are rounded up.
- **duration**: as in Go, with `ns`, `us`, `ms`, `s`, `m` and `h`, such as `300ms` or `1m30s`. A number without a unit is
  refused.
- **`!vault`**: a value that `ansible-vault encrypt_string` printed may be used in `env`, `meta`, `headers`, `embeddedTmpl`,
  an artifact's `getterSource` and `getterOptions`, and a container's `auth`. It stays secret: it reaches what it is for
  and nothing else. Anywhere else it is refused. If the whole file is vaulted, all these values are kept secret
  in the same way, but names, commands and arguments can be read on the robot.
- **Anchors and aliases** work, and so does the merge key `<<` of YAML 1.1: a mapping's own keys override merged ones, and
  an earlier merged mapping overrides a later one. A duplicate key is an error. A file has at most {MAX_BYTES // 1024} KiB and {MAX_DEPTH}
  levels of nesting, and at most {MAX_NODES} values after its aliases are expanded.

In values marked *substituted*, these are replaced, per robot and instance: `${{<name>}}` of a variable that is injected into
the task, `${{attr.<name>}}`, `${{meta.<key>}}` (from the robot's labels, then the group's meta, then the job's; in a
constraint from the labels only), `${{node.unique.name}}`, `${{node.datacenter}}` and `${{node.class}}`. If one of them has
no value, that is an error. Every other `${{...}}` and `$NAME` belongs to the program and arrives unchanged. In all other
texts, where nothing would replace them, `${{NOMAD_...}}`, `${{attr.<name>}}`, `${{meta.<key>}}` and `${{node.<name>}}` are
errors, except where a constraint, a template or a shell reads the text: in `lTarget`, `rTarget`, `embeddedTmpl` and
`readiness.command`.

Errors are reported together, for all files, each with file, line, column and path. Errors between keys, and what a robot
lacks, are only looked for once these are corrected.

## Keys

Keys marked + are this collection's own; all others are k8s4r's. A key marked *no effect yet* is read and checked, and
gives a warning. A key marked *refused* is an error. The keys of tasks have [a page of their own](task-format.md).
"""

_OF_TASKS = f"""\
{_GENERATED}
# Tasks in the job file

The keys of tasks and init tasks, and the keys inside them. [The job file](job-format.md) has all other keys, and says how values are
written and what the marks mean.
"""


def job_page() -> str:
    """docs/job-format.md as it is published: the job and its groups."""
    of_tasks = _of_tasks()
    return _INTRODUCTION + "".join(_section(cls) for cls in _classes(Job, {}) if cls not in of_tasks)


def task_page() -> str:
    """docs/task-format.md as it is published: tasks, and what they alone have."""
    return _OF_TASKS + "".join(_section(cls) for cls in _of_tasks())


def _classes(cls: type, seen: dict[type, None]) -> dict[type, None]:
    """The model's dataclasses in the order in which a reader meets them. Those that are seen already are not entered."""
    if cls in seen or cls is Reserved or not hasattr(cls, "__dataclass_fields__"):
        return seen
    seen[cls] = None
    for field in fields(cls):
        _classes(field.type, seen)
    return seen


@functools.cache
def _of_tasks() -> t.Sequence[type]:
    """Those that are met in tasks alone."""
    others = _classes(Job, {Task: None, InitTask: None})
    return [Task, *(cls for cls in _classes(Job, {}) if cls not in others and cls is not InitTask), InitTask]


def _section(cls: type) -> str:
    rows = "".join(_row(field) for field in fields(cls))
    about = inspect.cleandoc(cls.__doc__ or "")
    return f"\n### {cls.__name__}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(field: Field) -> str:
    names = " or ".join(f"`{name}`" for name in (field.name, *field.key.aliases)) + (" +" if field.key.ours else "")
    default = "required" if field.required else _default(field.default)
    notes = [_cell(field.key.doc), *_notes(field)]
    return f"| {names} | {_cell(_type(field))} | {_cell(default)} | {' '.join(notes)} |\n"


def _type(field: Field) -> str:
    if field.key.support is Support.REFUSED:
        return ""
    if field.type in _TYPES:
        one = _TYPES[field.type]
    elif issubclass(field.type, enum.Enum):
        one = ", ".join(f"`{value}`" for value in scalars.supported(field))
    else:
        page = "task-format.md" if field.type in _of_tasks() else "job-format.md"
        one = f"[{field.type.__name__}]({page}#{field.type.__name__.lower()})"
    if field.key.text_is:
        one = f"text or {one}"
    if field.key.shorthand:
        one = f"`true`, `false` or {one}"
    if field.many:
        one = f"list of {one}" if field.many is tuple else "mapping of text"
    return one


def _default(value: t.Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, Seconds):
        return f"`{value:g}s`"
    if isinstance(value, Bytes):
        return f"`{quantities.spelled(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, (str, int)) and value != "" else ""


def _notes(field: Field) -> t.Iterable[str]:
    key: Key = field.key
    low, high = key.minimum, key.maximum
    if field.type is int and low is not None:
        yield f"{low} to {high}." if high is not None else f"At least {low}."
    if field.type is Bytes and low:
        yield f"At least {quantities.spelled(low)}."
    if field.type is Seconds and (low or high):
        yield f"{low or 0:g}s to {high:g}s." if high else f"At least {low:g}s."
    if key.refused_values:
        yield f"Refused: {', '.join(f'`{member.value}`' for member in key.refused_values)}."
    if key.substituted:
        yield "*Substituted.*"
    if key.support is not Support.WORKS:
        yield "*Refused.*" if key.support is Support.REFUSED else "*No effect.*" if key.never else "*No effect yet.*"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
