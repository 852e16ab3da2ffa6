# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published schema and the reader come to the same verdict, and what is published is what is generated."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Bytes, Millicores, Seconds, Support
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.shape import fields
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import HOST_PORT, NAME
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.publish import schema
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import nodes, texts
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.document import API_VERSION, KIND, Document
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Options, Source

from . import generated


def ecma_pattern(_validator, pattern, instance, _schema):
    """Python's $ matches before a last newline too, ECMA 262's does not."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": ecma_pattern})(schema.generate())

# Ranges of quantities and durations written as text, lengths in bytes, and characters of more than 16 bits are beyond a schema.
BEYOND = re.compile(r"(less|more) than [\d.]+(m|s|h|Ki|Mi|Ti| cores)|found a text of \d+ bytes|the text contains a Unicode noncharacter")


def as_yaml(value):
    """JSON that YAML 1.1 reads as the same data: what is not ASCII escaped with 8 digits, floats with a point."""
    text = json.dumps(value, ensure_ascii=False)
    text = re.sub(r"[^\x20-\x7e]", lambda match: f"\\U{ord(match.group()):08x}", text)
    return re.sub(r"(?<![\w.\"])(-?\d+)(e[+-]\d+)", r"\1.0\2", text)


def verdict(document):
    """What the reader says of each key by itself."""
    reading = Document(Source("job.yml", ""), Options())
    [node] = nodes.compose(as_yaml(document))
    reading.parse(node)
    return reading.errors


def agree(document):
    errors = verdict(document)
    refusals = [error.message for error in VALIDATOR.iter_errors(document)]
    if refusals:
        assert errors, (document, refusals)
    else:
        assert all(BEYOND.search(error.message) for error in errors), (document, list(map(str, errors)))


NONCHARACTERS = "".join(filter(texts.is_noncharacter, map(chr, range(0x110000))))
CHARACTERS = st.characters(exclude_characters=NONCHARACTERS, exclude_categories=["Cs"])
TEXT = st.text(st.characters(exclude_characters="\0" + NONCHARACTERS, exclude_categories=["Cs"]), max_size=8)
# Texts that match a pattern of the model.
MATCHING = {NAME: st.sampled_from(["a", "web-1", "A.b_c", "x" * 63]), HOST_PORT: st.sampled_from(["h:1", "[::1]:65535", "a.b-c.:80"])}
SCALARS = {
    bool: st.booleans(),
    Millicores: st.sampled_from(["500m", "0.5", "2", 1, 0.25, 64, ".5", "1e-1"]),
    Bytes: st.sampled_from(["128Mi", "1Gi", "64M", 2**25, "5e6", "4Mi"]),
    Seconds: st.sampled_from(["5s", "1m30s", "1.5s", "1500ms", "1h"]),
}
ODD_TEXTS = [
    "",
    "a/b",
    "a\n",
    "-1",
    "5",
    "5s",
    "128Mi",
    "h:0",
    "h:70000",
    "::1:80",
    "SIGFOO",
    "docker",
    "group",
    "system",
    "a\0",
    "é",
    "0.0.0.256",
    "\ufdd0",
    "/\U0010ffff",
    "/dev/${meta.arm}",
    "a${NOMAD_DC}",
    "${HOME}",
]
ODD_AMOUNTS = ["1 Mi", "1MB", "-1", "0x1", "1e3", "٣", "5", "5s ", "1:30", "1.5h", "999999999999999h", 5, 0.5, -1]
ODD_NUMBERS = [-1, 0, 1, 3.0, 0.5, 101, 10001, 65536, 2**31]
JUNK = st.one_of(
    st.booleans(),
    st.integers(),
    # Exponents of three digits are no quantities.
    st.floats(-1e9, 1e9).filter(lambda number: not 0 < abs(number) < 1e-98),
    TEXT,
    st.sampled_from(ODD_TEXTS + ODD_NUMBERS),
    st.lists(TEXT, max_size=2),
    st.dictionaries(TEXT, TEXT, max_size=2),
)


def value_of(field):
    kind, key = field.type, field.key
    if kind is str:
        one = TEXT if key.pattern is None else MATCHING.get(key.pattern, st.from_regex(key.pattern, fullmatch=True, alphabet=CHARACTERS))
    elif kind is int:
        one = st.integers(int(key.minimum or 0), int(key.maximum or 2**40))
    elif kind in SCALARS:
        one = SCALARS[kind]
    elif issubclass(kind, enum.Enum):
        one = st.sampled_from([member.value for member in kind if member not in key.refused_values])
    else:
        one = object_of(kind)
    if key.shorthand:
        one = st.booleans() | one
    if field.many is dict:
        names = st.from_regex(key.key_pattern, fullmatch=True) if key.key_pattern else TEXT.filter(bool)
        return st.dictionaries(names, one, max_size=2)
    return st.lists(one, min_size=key.min_items or 0, max_size=2) if field.many is tuple else one


@functools.cache
def object_of(cls, leave_out=()):
    keys = [field for field in fields(cls) if field.key.support is not Support.REFUSED and field.name not in leave_out]
    spelled = {field: field.key.aliases[0] if field.key.aliases else field.name for field in keys}
    required = {spelled[field]: value_of(field) for field in keys if field.required}
    return st.fixed_dictionaries(required, optional={spelled[field]: value_of(field) for field in keys if not field.required})


SHORT = object_of(Job)
DOCUMENT = st.fixed_dictionaries(
    {
        "apiVersion": st.just(API_VERSION),
        "kind": st.just(KIND),
        "metadata": st.fixed_dictionaries({"name": st.just("a")}, optional={"namespace": MATCHING[NAME], "labels": JUNK}),
        "spec": object_of(Job, ("namespace", "name")),
    },
    optional={"status": JUNK},
)
PUBLISHED = {name for definition in schema.generate()["$defs"].values() for name in definition["properties"]}
REFUSED = {"localTls"}
KEYS = sorted(PUBLISHED | REFUSED | {"x", ""})


LEAST = {str: "a", int: 1, bool: True, Millicores: "1", Bytes: "1Gi", Seconds: "5s"}
MISTAKES = {str: ODD_TEXTS, int: ODD_NUMBERS, **dict.fromkeys((Millicores, Bytes, Seconds), ODD_AMOUNTS)}


def least(field):
    """The smallest good value."""
    kind = field.type
    if (kind is str and field.key.pattern == HOST_PORT) or field.name == "upstream":
        one = "h:1"
    elif issubclass(kind, enum.Enum):
        one = next(iter(kind)).value
    else:
        one = LEAST[kind] if kind in LEAST else {each.name: least(each) for each in fields(kind) if each.required}
    return {"a": one} if field.many is dict else [one] if field.many is tuple else one


def places(cls=Job, around=lambda inner: inner, seen=()):
    """Every key of the model, and a function that puts a value for it into an otherwise smallest job."""
    rest = {field.name: least(field) for field in fields(cls) if field.required}
    for field in fields(cls):
        if field.key.support is Support.REFUSED:
            continue

        def put(value, field=field):
            return around({**rest, field.name: value})

        yield f"{cls.__name__}.{field.name}", field, put
        if dataclasses.is_dataclass(field.type) and field.type not in seen:
            yield from places(field.type, lambda inner, put=put, many=field.many: put([inner] if many else inner), (*seen, field.type))


PLACES = {name: (field, put) for name, field, put in places()}


@st.composite
def one_key(draw):
    """A small job in which one key has some value, good or bad."""
    field, put = PLACES[draw(st.sampled_from(sorted(PLACES)))]
    inner = st.sampled_from(MISTAKES[field.type]) if field.type in MISTAKES else JUNK
    wrapped = {tuple: st.lists(inner, max_size=2), dict: st.dictionaries(st.sampled_from(["", "a", "A-B", "a\0"]), inner, max_size=2)}
    return put(draw(wrapped.get(field.many, inner) | inner | JUNK | st.none() | value_of(field)))


@st.composite
def spoilt(draw, good):
    """A good document with one thing in it replaced, removed or added."""
    document = draw(good)
    here = document
    while True:
        if isinstance(here, dict):
            places = sorted(here)
            if not places or draw(st.integers(0, 9)) == 0:
                here[draw(st.sampled_from(KEYS))] = draw(JUNK | st.none())
                return document
        else:
            places = range(len(here))
            if not places:
                here.append(draw(JUNK | st.none()))
                return document
        place = draw(st.sampled_from(places))
        if isinstance(here[place], (dict, list)) and draw(st.integers(0, 5)):
            here = here[place]
        elif draw(st.integers(0, 3)):
            here[place] = draw(JUNK | st.none())
            return document
        else:
            del here[place]
            return document


@settings(max_examples=100, deadline=None)
@given(SHORT | DOCUMENT)
def test_both_accept_what_the_model_allows(document):
    assert [str(error) for error in verdict(document)] == []
    VALIDATOR.validate(document)


@settings(max_examples=600, deadline=None)
@given(one_key())
@example({"name": "a", "taskGroups": [{"name": "a", "resources": {"disk": -0.0}}]})
@example({"name": "a", "taskGroups": [{"name": "a", "resources": {"cpu": -0.0}}]})
def test_both_come_to_the_same_verdict_on_every_key(document):
    agree(document)


@settings(max_examples=150, deadline=None)
@given(spoilt(SHORT) | spoilt(DOCUMENT))
def test_both_come_to_the_same_verdict(document):
    agree(document)


@settings(max_examples=100, deadline=None)
@given(JUNK)
def test_on_no_job_at_all(document):
    agree(document)


@pytest.mark.parametrize("path", generated.FILES, ids=lambda path: path.name)
def test_committed_file_is_the_generated_one(path):
    assert path.read_text(encoding="utf-8") == generated.FILES[path](), "run tests/unit/plugin_utils/job/generated.py, as it says"


def test_noncharacters_are_those_of_unicode():
    assert {ord(char) for char in NONCHARACTERS} == {*range(0xFDD0, 0xFDF0), *(code for code in range(0x110000) if code & 0xFFFE == 0xFFFE)}


def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.text()))


def test_what_is_refused_is_no_part_of_the_schema():
    assert not REFUSED & PUBLISHED
