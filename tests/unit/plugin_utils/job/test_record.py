# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record behaves as a frozen dataclass does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field as attribute

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.record import record


@record
class Point:
    x: int
    y: int = 2
    tags: list = attribute(default_factory=list)
    note: str = attribute(default="", compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Plain:
    x: int
    y: int = 2
    tags: list = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False, repr=False)


@record
class Deep(Point):
    z: int = 3


@pytest.mark.parametrize(("args", "given"), [((1,), {}), ((1, 3), {"note": "n"}), ((), {"y": 5, "x": 4}), ((1, 2, ["t"], "n"), {})])
def test_as_a_dataclass(args, given):
    mine, plain = Point(*args, **given), Plain(*args, **given)
    assert dataclasses.asdict(mine) == dataclasses.asdict(plain)
    assert repr(mine) == repr(plain).replace("Plain", "Point")
    assert mine == dataclasses.replace(mine, note="other") != dataclasses.replace(mine, y=9)
    assert copy.deepcopy(mine) == pickle.loads(pickle.dumps(mine)) == mine != plain


@pytest.mark.parametrize(("args", "given"), [((), {}), ((1,), {"x": 1}), ((1,), {"w": 1}), ((1, 2, [], "", 5), {})])
def test_wrong_arguments(args, given):
    for cls in (Point, Plain):
        with pytest.raises(TypeError):
            cls(*args, **given)


def test_defaults_are_not_shared():
    assert Point(1).tags is not Point(1).tags


def test_derived():
    assert Deep(1, z=4) == Deep(1, 2, [], "", 4) != Point(1)
    assert [field.name for field in dataclasses.fields(Deep)] == ["x", "y", "tags", "note", "z"]


def test_hash_is_of_what_is_compared():
    assert hash(Point(1, 2, ())) == hash(Point(1, 2, (), "n"))


def test_frozen():
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert point.x == 1
