# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reader, the JSON Schema and the reference page need to know of a dataclass of the model, resolved once."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing as t

from .keys import Key


@dataclasses.dataclass(eq=False)
class Field:
    """One key: ``type`` is what one value is; ``many`` is ``tuple``, ``dict`` or None for a single value."""

    attribute: str
    name: str
    key: Key
    required: bool
    default: t.Any
    type: t.Any
    many: type | None


@functools.cache
def fields(cls: type) -> tuple[Field, ...]:
    """The keys of a dataclass of the model, in the order of their declaration."""
    return tuple(_field(each) for each in dataclasses.fields(cls) if "key" in each.metadata)


@functools.cache
def by_name(cls: type) -> t.Mapping[str, Field]:
    """The same by every name that a file may use, aliases too."""
    return {name: field for field in fields(cls) for name in (field.name, *field.key.aliases)}


def _field(each: dataclasses.Field[t.Any]) -> Field:
    # The model does not import annotations from __future__: to evaluate a hundred strings would take longer than to read a job.
    hint: t.Any = each.type
    if isinstance(hint, types.UnionType):
        hint = next(arg for arg in t.get_args(hint) if arg is not types.NoneType)
    many = {tuple: tuple, collections.abc.Mapping: dict}.get(t.get_origin(hint))
    key = each.metadata["key"]
    required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    default = each.default if each.default_factory is dataclasses.MISSING else each.default_factory()
    kind = t.get_args(hint)[many is dict] if many else hint
    return Field(each.name, key.name or camel(each.name), key, required, default, kind, many)


def camel(attribute: str) -> str:
    """``kill_timeout`` as ``killTimeout``."""
    first, *rest = attribute.split("_")
    return first + "".join(word.capitalize() for word in rest)
