# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen dataclasses that are cheap to define.

``dataclasses.dataclass(frozen=True)`` writes and compiles six methods for every class, half a millisecond each time.
They are compiled when the class is defined, so kept bytecode does not help: for all classes of the model, it
would take longer than all else that reading a job takes. Here the methods are written once and read the class's fields.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import keys

T = t.TypeVar("T")


@t.dataclass_transform(frozen_default=True, field_specifiers=(keys.key, dataclasses.field))
def record(cls: type[T]) -> type[T]:
    """As ``dataclasses.dataclass(frozen=True)``; ``fields``, ``replace`` and ``asdict`` work as ever."""
    for name, method in _METHODS.items():
        setattr(cls, name, method)
    return dataclasses.dataclass(init=False, repr=False, eq=False)(cls)


def _init(self: t.Any, *args: t.Any, **given: t.Any) -> None:
    declared = self.__dataclass_fields__
    values = dict(zip(declared, args, strict=False))
    wrong = [name for name in given if name in values or name not in declared]
    if wrong or len(args) > len(declared):
        raise TypeError(f"{type(self).__name__} takes each of {', '.join(declared)} once, and nothing else; found {wrong or args}")
    values.update(given)
    for name, field in declared.items():
        if name in values:
            self.__dict__[name] = values[name]
        elif field.default is not dataclasses.MISSING:
            self.__dict__[name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            self.__dict__[name] = field.default_factory()
        else:
            raise TypeError(f"{type(self).__name__} needs {name}")


def _repr(self: t.Any) -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name, field in self.__dataclass_fields__.items() if field.repr]
    return f"{type(self).__name__}({', '.join(shown)})"


def _compared(self: t.Any) -> tuple[t.Any, ...]:
    return tuple(getattr(self, name) for name, field in self.__dataclass_fields__.items() if field.compare)


def _eq(self: t.Any, other: object) -> bool:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: t.Any) -> int:
    return hash(_compared(self))


def _set(_self: t.Any, name: str, _value: t.Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_self: t.Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_METHODS = {"__init__": _init, "__repr__": _repr, "__eq__": _eq, "__hash__": _hash, "__setattr__": _set, "__delattr__": _delete}
