# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substitution replaces what is ours and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.substitution import substitute

INJECTED = {"NOMAD_ALLOC_INDEX": "0", "API_URL": "http://127.0.0.1:8080", "EMPTY": "", "LOOP": "${API_URL}"}
ROOMS = {"attr": {"cpu.arch": "amd64"}, "meta": {"zone/x": "north"}, "node": {"unique.name": "r1", "class": "arm"}}


def replaced(text):
    return substitute(text, INJECTED, **ROOMS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${API_URL}/x", "http://127.0.0.1:8080/x"),
        ("a${NOMAD_ALLOC_INDEX}${NOMAD_ALLOC_INDEX}b", "a00b"),
        ("${attr.cpu.arch}-${meta.zone/x}-${node.unique.name}-${node.class}", "amd64-north-r1-arm"),
        ("[${EMPTY}]", "[]"),
        ("${LOOP}", "${API_URL}"),
        ("$${API_URL}", "$http://127.0.0.1:8080"),
    ],
)
def test_ours(text, expected):
    assert replaced(text) == (expected, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$API_URL $NOMAD_TASK_NAME",
        "${HOME} ${1} ${#} ${@} ${!x} ${x[0]}",
        "${API_URL:-x} ${NOMAD_TASK_NAME:-none} ${NOMAD_X%.*}",
        "{{ API_URL }} #{API_URL} %n $(API_URL) ${ API_URL }",
        "${API_URL",
        "${attribute.x} ${metadata} ${nodes.x} ${attr} ${node}",
        "awk '{print $1}' <<<\"${x}\"\n\t\\",
    ],
)
def test_the_programs_own(text):
    assert replaced(text) == (text, [])


def test_unresolved_names_are_told_once_each_in_order():
    text = "${node.x} ${NOMAD_X} ${meta.y} ${NOMAD_X} ${attr.z} ${X}"
    assert replaced(text) == (text, ["node.x", "NOMAD_X", "meta.y", "attr.z"])


@pytest.mark.parametrize(
    ("text", "injected", "secret"),
    [
        (Secret("a"), {}, True),
        (Secret("a${A}"), {"A": "b"}, True),
        ("a${A}", {"A": Secret("b")}, True),
        ("a${A}", {"A": "b", "B": Secret("c")}, False),
    ],
)
def test_secrets_stay_secret(text, injected, secret):
    result, _warnings = substitute(text, injected, attr={}, meta={}, node={})
    assert isinstance(result, Secret) is secret


@given(st.text())
def test_text_without_names_of_ours_is_left_byte_for_byte(text):
    assert substitute(text, {}, attr={}, meta={}, node={})[0] == text


@given(st.lists(st.sampled_from(["${A}", "$", "{", "}", "${", "A", "${meta.m}", "${B}", "\0", "ö"])).map("".join))
def test_names_are_replaced_wherever_they_stand(text):
    result, unresolved = substitute(text, {"A": "1"}, attr={}, meta={"m": "2"}, node={})
    assert unresolved == []
    assert result == text.replace("${A}", "1").replace("${meta.m}", "2")
