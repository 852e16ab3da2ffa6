# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page of the job file, docs/job-format.md, generated from the model."""

from __future__ import annotations

import enum
import inspect
import typing as t

from ..declare.keys import Bytes, Key, Millicores, Seconds, Support
from ..declare.shape import Field, fields
from ..model.job import Job
from ..model.vocabulary import Reserved
from ..read import document, scalars
from ..read.nodes import MAX_BYTES, MAX_DEPTH, MAX_NODES

_TYPES = {str: "text", int: "whole number", bool: "`true`, `false`", Millicores: "CPU", Bytes: "memory", Seconds: "duration"}

_INTRODUCTION = f"""\
<!-- Generated from plugins/plugin_utils/job/model/ by tests/unit/plugin_utils/job/generated.py. -->

# The job file

A job file is YAML and describes groups of programs and where they run. It is written in one of two forms, which mean
the same; one file may hold several documents.

The short form has the job's keys at the top. `name` may be left out: it is then the file's name without its ending.

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

A k8s4r document has `apiVersion: {document.API_VERSION}` and `kind: {document.KIND}`. `metadata` holds `name`, which names the
job, and `namespace`; the other keys of the job are in `spec`. A `spec.name` must be the same name. `status`, labels,
annotations and what else a server writes into `metadata` are ignored.

Editors check a file against `schemas/job.schema.json` as it is written. What a schema cannot say (names that are used
twice, ports that meet, ranges of quantities) is said by `k8s4r.robot.validate`, which needs no robot and no inventory.

## Values

- **text**: what YAML would turn into something else (`0123`, `12:30`, `yes`, `2026-11-20`) is refused where text is
  wanted: quote it. No text of a job file is ever rendered by Jinja, but that of a file named `*.j2`, once, as a whole,
  before it is read. A NUL character is refused, for no program can be given one.
- **name**: 1 to 63 letters, digits and `.` `_` `-`, with a letter or digit at both ends.
- **CPU**: cores, as `500m`, `0.5` or `2`; at most 64. **memory**: a number with `Ki`, `Mi`, `Gi`, `k`, `M` or `G`, such
  as `128Mi`. Both are Kubernetes' quantities, and fractions are rounded up.
- **duration**: Go's, with `ns`, `us`, `ms`, `s`, `m` and `h`, such as `300ms` or `1m30s`. A number alone is refused.
- **`!vault`**: a value that `ansible-vault encrypt_string` made may stand in `env` and `meta`, where it stays secret: it
  reaches the task's environment and nothing else. Anywhere else it is refused. In a file that is vaulted as a whole
  the values of `env` and `meta` are kept secret the same way; names, commands and arguments are plain on the robot.
- **Anchors and aliases** work, and so does the merge key `<<` of YAML 1.1: own keys win over merged ones, an earlier
  mapping over a later one. A key that is written twice is an error. A file is at most {MAX_BYTES // 1024} KiB, {MAX_DEPTH} levels deep,
  and stands for at most {MAX_NODES} values when its aliases are written out.

In values marked *substituted*, `${{...}}` is replaced per robot and instance: names of variables that are injected into
that task, `${{attr.<name>}}`, `${{meta.<key>}}` (the robot's labels, then the group's and the job's meta; in a constraint
the labels alone), `${{node.unique.name}}`, `${{node.datacenter}}` and `${{node.class}}`. One of these that has no value is
an error. Every other `${{...}}` and `$NAME` is the program's own and arrives as it was written.

All errors of all files are reported together, each with file, line, column and path.

## Keys

Keys marked + are this collection's, the rest k8s4r's. A key marked *not acted on yet* is read, checked and reported
with a warning; one marked *refused* is an error today.
"""


def text() -> str:
    """The page as its published file has it."""
    return _INTRODUCTION + "".join(_section(cls) for cls in _classes(Job))


def _classes(cls: type, seen: dict[type, None] | None = None) -> t.Iterable[type]:
    """The model's dataclasses in the order in which a reader meets them."""
    seen = {} if seen is None else seen
    if cls in seen or cls is Reserved or not hasattr(cls, "__dataclass_fields__"):
        return seen
    seen[cls] = None
    for field in fields(cls):
        _classes(field.type, seen)
    return seen


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
        one = f"[{field.type.__name__}](#{field.type.__name__.lower()})"
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
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, (str, int)) and value != "" else ""


def _notes(field: Field) -> t.Iterable[str]:
    key: Key = field.key
    low, high = key.minimum, key.maximum
    if field.type is int and low is not None:
        yield f"{low} to {high}." if high is not None else f"At least {low}."
    if field.type is Bytes and low:
        yield f"At least {int(low) // 2**20}Mi."
    if field.type is Seconds and (low or high):
        yield f"{low or 0:g}s to {high:g}s." if high else f"At least {low:g}s."
    if key.refused_values:
        yield f"Refused: {', '.join(f'`{member.value}`' for member in key.refused_values)}."
    if key.substituted:
        yield "*Substituted.*"
    if key.support is not Support.WORKS:
        yield "*Not acted on yet.*" if key.support is Support.NO_EFFECT else "*Refused.*"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
