# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's table of what works today says of every key what the job model says."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as t

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Support
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.shape import Field, fields
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job

README = pathlib.Path(__file__).resolve().parents[4] / "README.md"
COLUMNS = (Support.WORKS, Support.NO_EFFECT, Support.REFUSED)


def keys(cls: type) -> t.Iterator[Field]:
    """Every key of the model, as often as it can be written."""
    for field in fields(cls):
        yield field
        if dataclasses.is_dataclass(field.type):
            yield from keys(field.type)


def told(support: Support) -> set[str]:
    """The keys and values that the README's table names in a column."""
    section = README.read_text(encoding="utf-8").split("## What works today", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[1 + COLUMNS.index(support)])}


def test_what_has_no_effect_yet():
    assert told(Support.NO_EFFECT) == {field.name for field in keys(Job) if field.key.support is Support.NO_EFFECT}


def test_what_is_refused():
    names = {field.name for field in keys(Job) if field.key.support is Support.REFUSED}
    values = {f"{field.name}: {value.value}" for field in keys(Job) for value in field.key.refused_values}
    assert told(Support.REFUSED) == names | values


def test_what_works():
    """Not every key is named, but what is named is one, and works."""
    works = [field for field in keys(Job) if field.key.support is Support.WORKS]
    values = {f"{field.name}: {value.value}" for field in works if hasattr(field.type, "__members__") for value in field.type}
    assert told(Support.WORKS) <= {field.name for field in works} | values
