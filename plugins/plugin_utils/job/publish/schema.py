# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema (draft 2020-12) of the job file, generated from the model for editors and other tools.

It accepts what this version accepts: keys and values that are not supported yet are absent. What a schema cannot
express, or expresses badly (the range of a quantity, rules between keys), is left to the reader. The reader refuses
every document that the schema refuses; the schema refuses every other document that the reader refuses.
"""

from __future__ import annotations

import enum
import inspect
import json
import typing as t

from ..declare.keys import Bytes, Millicores, Seconds, Support
from ..declare.quantities import DURATION, QUANTITY
from ..declare.shape import Field, by_name, fields
from ..model.job import Job
from ..model.vocabulary import Reserved
from ..read import document
from ..substitution import OURS

Schema = dict[str, t.Any]
TEXT, KEY = r"[^\u0000]*", r"[^\u0000]+"


def text() -> str:
    """The schema as the bytes of its published file."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def generate() -> Schema:
    """The schema of one document of a job file, in either of its two forms."""
    definitions: Schema = {}
    keys = [field for field in fields(Job) if field.key.support is not Support.REFUSED]
    spec = [field for field in keys if field.name != "namespace"]
    definitions["Job"] = _object(Job, keys, definitions, optional=("name",))
    definitions["Spec"] = _object(Job, spec, definitions, optional=("name",))
    definitions["Document"] = {
        "description": "A job as a k8s4r document.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": document.API_VERSION},
            "kind": {"const": document.KIND},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    **{field.name: _described(field, definitions) for field in keys if field.name in document.NAMED},
                    **{name: {"description": "Ignored."} for name in document.IGNORED_METADATA},
                },
            },
            "spec": {"$ref": "#/$defs/Spec"},
            "status": {"description": "Ignored."},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Job file of k8s4r.robot",
        "type": "object",
        "if": {"anyOf": [{"required": [key]} for key in document.DOCUMENT_KEYS]},
        "then": {"$ref": "#/$defs/Document"},
        "else": {"$ref": "#/$defs/Job"},
        "$defs": dict(sorted(definitions.items())),
    }


def _object(cls: type, keys: t.Iterable[Field], definitions: Schema, optional: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"description": inspect.cleandoc(cls.__doc__ or ""), "type": "object", "additionalProperties": False}
    properties: Schema = {}
    spellings = []
    for field in keys:
        required = field.required and field.name not in optional
        names = [field.name, *field.key.aliases]
        properties.update({name: _described(field, definitions) for name in names})
        if len(names) == 1 and required:
            schema.setdefault("required", []).append(field.name)
        elif len(names) > 1:
            none = [] if required else [{"not": {"anyOf": [{"required": [name]} for name in names]}}]
            spellings.append({"oneOf": [{"required": [name]} for name in names] + none})
    if spellings:
        schema["allOf"] = spellings
    return {**schema, "properties": properties}


def _described(field: Field, definitions: Schema) -> Schema:
    note = f" (No effect{'' if field.key.never else ' yet'}.)" if field.key.support is Support.NO_EFFECT else ""
    schema: Schema = {"description": field.key.doc + note}
    if not field.required and isinstance(field.default, (str, bool, int, enum.Enum)) and not isinstance(field.default, (Millicores, Bytes)):
        schema["default"] = field.default.value if isinstance(field.default, enum.Enum) else field.default
    if field.many is tuple:
        schema |= {"type": "array", "items": _value(field, definitions)}
        return schema | ({"minItems": field.key.min_items} if field.key.min_items else {})
    if field.many is dict:
        return schema | {
            "type": "object",
            "propertyNames": {"pattern": _whole(field.key.key_pattern or KEY)},
            "additionalProperties": _value(field, definitions),
        }
    return schema | _value(field, definitions)


def _value(field: Field, definitions: Schema) -> Schema:
    kind, key = field.type, field.key
    if kind is str:
        verbatim = not (key.substituted or key.names_kept)
        return {"type": "string", "pattern": _whole(key.pattern or TEXT), **({"not": {"pattern": OURS}} if verbatim else {})}
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer", **_range(field, 1)}
    if kind is Seconds:
        return {"type": "string", "pattern": _whole(DURATION)}
    if kind in (Millicores, Bytes):
        unit = 1000 if kind is Millicores else 1
        return {"anyOf": [{"type": "string", "pattern": _whole(QUANTITY)}, {"type": "number", **_range(field, unit)}]}
    if issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind if member not in key.refused_values]}
    if kind is Reserved:
        raise TypeError(f"{field.name} is a reserved name and has no schema")
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}
        definitions[kind.__name__] = _object(kind, [each for each in fields(kind) if each.key.support is not Support.REFUSED], definitions)
    reference = {"$ref": f"#/$defs/{kind.__name__}"}
    if key.text_is:
        return {"anyOf": [_value(by_name(kind)[key.text_is], definitions), reference]}
    return {"anyOf": [{"type": "boolean"}, reference]} if key.shorthand else reference


def _range(field: Field, unit: int) -> Schema:
    """Limits of a number. Quantities are rounded up to whole units, so what is just above the unit below passes."""
    low, high = field.key.minimum, field.key.maximum
    limits: Schema = {}
    if field.type is int or not low:
        limits = {"minimum": low} if low is not None else {} if field.type is int else {"minimum": 0}
    else:
        limits = {"exclusiveMinimum": (low - 1) / unit}
    return limits | ({"maximum": high / unit if high % unit else high // unit} if high is not None else {})


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
