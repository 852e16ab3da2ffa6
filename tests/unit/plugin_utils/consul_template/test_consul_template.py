# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of consul-template become, byte by byte, what consul-template makes of them, or are refused with their line.

`refused` in a case is our error, with its line; `fails` says that consul-template itself fails too. That the outputs
of cases.json are those of a real consul-template is for tests/integration/system/test_consul_template.py to say.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.consul_template import dialect, evaluator, parser
from ansible_collections.k8s4r.robot.plugins.plugin_utils.consul_template.faults import Fault
from ansible_collections.k8s4r.robot.plugins.plugin_utils.consul_template.functions import FUNCTIONS, REFUSED, SPECIAL

CASES = pathlib.Path(__file__).with_name("cases.json")
FOUND = json.loads(CASES.read_text(encoding="utf-8"))


def ours(text: str, environment: t.Mapping[str, str]) -> dict[str, str]:
    try:
        return {"gives": evaluator.render(parser.parse(text), environment)}
    except Fault as fault:
        return {"refused": "; ".join(part for part in (f"{fault.line}: {fault}", fault.remedy) if part)}


@pytest.mark.parametrize("case", FOUND["cases"], ids=lambda case: case["template"][:40])
def test_a_template_becomes_what_consul_template_makes_of_it(case):
    told = {key: value for key, value in case.items() if key in ("gives", "refused")}
    assert ours(case["template"], FOUND["environment"]) == told


def test_every_function_is_in_some_case():
    """`call` by another name than the one that is meant would not be noticed otherwise."""
    texts = "".join(case["template"] for case in FOUND["cases"] if "gives" in case)
    assert {name for name in FUNCTIONS if name not in texts} == set()


def test_the_page_names_every_function():
    page = (pathlib.Path(__file__).parents[4] / "docs/templates.md").read_text(encoding="utf-8")
    rows = [line for line in page.split("| functions |")[1].split("\n\n")[0].splitlines() if line.startswith("| ")]
    # What only Consul can answer is refused of a text that asks no Consul.
    named = {
        refused: [name for row in rows if ("refused:" in row or "asking-consul" in row) is refused for name in re.findall(r"`(\w+)`", row)]
        for refused in (True, False)
    }
    assert sorted(named[False]) == sorted((*FUNCTIONS, *SPECIAL))
    assert sorted(set(named[True]) - {"sprig_"}) == sorted(REFUSED)


@pytest.mark.parametrize(
    "text",
    [
        '{{ env "A" }}',
        "{{- with $x }}",
        "{{range .Data}}",
        "{{ end }}",
        "{{.Data.value}}",
        "{{/* a comment */}}",
        '{{ "a" | toUpper }}',
        "{{ key `a` }}",
        '{{ sprig_upper "a" }}',
        "{{ $x := 1 }}",
        "{{ . }}",
    ],
)
def test_actions_of_go_are_known(text):
    assert dialect.seen(f"a\nb {text}") == (2, 0)
    # With other delimiters, these are text.
    assert dialect.seen(text, "[[", "]]") == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "{{ env.A }}",
        "{{ name }}",
        "{{- name | upper -}}",
        '{{ "a" | replace("a", "b") }}',
        "{{ range(3) | list }}",
        "{{ not x }}",
        "{{ index }} {{ with }} {{ key }} {{ service.name }} {{ secret }}",
        '{{ {"a": 1}["a"] }}',
        "{{ a if b else c }}",
        "${#array[@]} {{ 'x' in y }} {{ join(a) }}",
        "{{ (a, b) | join('-') }}",
    ],
)
def test_actions_of_jinja_are_no_go(text):
    assert dialect.seen(text).go == 0


def test_statements_of_jinja_are_known():
    assert dialect.seen("a\n\n{%- if x %}") == (0, 3)
    assert dialect.seen("{% of text %}") == (0, 0)


@pytest.mark.parametrize("text", ["{{ if true }}" * 2000 + "{{ end }}" * 2000, "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"])
def test_what_is_nested_too_deeply_is_said(text):
    assert "nested" in ours(text, {})["refused"]


def test_an_output_has_a_limit():
    assert "precision of at most 9999" in ours('{{ printf "%.2000000000f" 1.5 }}', {})["refused"]
    assert "more than 1 MiB" in ours('{{ range loop 100000 }}{{ printf "%100d" 1 }}{{ end }}', {})["refused"]


def test_no_value_is_in_an_error():
    text = (
        '{{ env "A" | parseJSON }}|{{ env "A" | parseInt }}|{{ env "A" | parseBool }}|{{ env "A" | base64Decode }}|{{ mustEnv (env "A") }}'
    )
    for part in text.split("|{"):
        found = ours(part if part.startswith("{{") else "{" + part, {"A": "canary"})
        assert "canary" not in found["refused"]
