# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates on the controller: which dialect, which file, and what Jinja may and may not."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import types
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.rendering import InConsul, LookedUp, Unfound, Unrendered, Watched
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.brings.templates import Template
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import Provider
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files.reading import HostVariables
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating import memory
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating import renderer as rendering

SITE: t.Any = types.SimpleNamespace(job=types.SimpleNamespace(path="jobs/web.yml", opaque=False), robot=types.SimpleNamespace(name="r1"))
VARIABLES = {
    "name": "front",
    "secret": "canary",
    "ports": [1, 2],
    "nested": {"a": {"b": trust_as_template("{{ name }}!")}},
    "made": trust_as_template("{{ name | upper }}-{{ ports | length }}"),
    "broken": trust_as_template("{{ secret | nothing }}"),
    "untouched": "{{ not_a_template }}",
    "items": "mine",
}


def renderer(tmp_path: pathlib.Path, reached: bool = True) -> rendering.Renderer:
    host = HostVariables(VARIABLES, Templar(loader=DataLoader(), variables={}))
    return rendering.Renderer(tmp_path, lambda path: "decrypted " + pathlib.Path(path).name, lambda _robot: host if reached else None)


def services(name: str) -> LookedUp:
    if name == "queue":
        raise InConsul(f"the service {name} is in Consul")
    if name != "api":
        raise Unfound(f"there is no {name}", "did you mean api?")
    return LookedUp([{"Address": "192.0.2.1", "Port": 7000}, {"Address": "192.0.2.2", "Port": 7001}], {"default/shop/api/api": "1"})


def rendered(tmp_path: pathlib.Path, text: str | None = None, reached: bool = True, **keys: t.Any) -> str:
    template = Template(dest_path="local/a", embedded_tmpl=text, **keys)
    return renderer(tmp_path, reached)(SITE, template, {"PORT": "80", "SECRET": "canary"}, services)


def refused(tmp_path: pathlib.Path, text: str | None = None, **keys: t.Any) -> str:
    with pytest.raises(Unrendered) as raised:
        rendered(tmp_path, text, **keys)
    assert "canary" not in str(raised.value) + raised.value.remedy
    depends = " (depends)" if raised.value.depends else ""
    return f"{raised.value.key}: {raised.value}{depends}"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("plain\n\n", "plain\n\n"),
        ("plain\r\n", "plain\r\n"),
        ("{{ name }} {{ made }} {{ nested.a.b }} {{ env.PORT }}", "front FRONT-2 front! 80"),
        ("{% for port in ports %}\n{{ port }},\n{% endfor %}\n", "1,\n2,\n"),
        ("{{ untouched }}", "{{ not_a_template }}"),
        ("{{ missing | default('x') }}{{ items }}", "xmine"),
        ('{{ env "PORT" }}{{ env "name" }}', "80"),
        ('{{ range nomadService "api" }}{{ .Address }}:{{ .Port }} {{ end }}', "192.0.2.1:7000 192.0.2.2:7001 "),
        ("{{ nested | to_json }} {{ 'a' | b64encode }} {{ ports | to_yaml }}", '{"a": {"b": "front!"}} YQ== - 1\n- 2\n'),
        ("{% set x = namespace(n=0) %}{% for i in range(3) %}{% set x.n = x.n + i %}{% endfor %}{{ x.n }}", "3"),
    ],
)
def test_what_a_text_becomes(tmp_path, text, made):
    assert rendered(tmp_path, text) == made


def test_other_delimiters_are_those_of_either_dialect(tmp_path):
    keys = {"left_delim": "[[", "right_delim": "]]"}
    assert rendered(tmp_path, '{{ x }} [[ env "PORT" ]]', **keys) == "{{ x }} 80"
    assert rendered(tmp_path, "{{ x }} [[ name ]]", **keys) == "{{ x }} front"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n{{ missing }}", "line 2 of the template: missing is undefined (depends)"),
        ("{{ missing | to_json }}", "line 1 of the template: missing is undefined (depends)"),
        ("{{ missing | to_nice_yaml }}", "line 1 of the template: missing is undefined (depends)"),
        ("{{ name.missing }}", "line 1 of the template: missing is undefined (depends)"),
        ("{{ nested[secret] }}", "line 1 of the template: something in it is undefined (depends)"),
        ("\n{{ secret + 1 }}", "line 2 of the template: cannot be evaluated (TypeError) (depends)"),
        ("{{ broken }}", "the variable broken cannot be evaluated by Ansible (depends)"),
        ("{{ lookup('env', 'HOME') }}", "line 1 of the template: lookup is undefined (depends)"),
        ("{{ 'a' | password_hash }}", "line 1 of the template: is not valid Jinja: No filter named 'password_hash'."),
        (
            "{{ [].__class__.__base__.__subclasses__() }}",
            "line 1 of the template: does something that templates are not allowed to do (depends)",
        ),
        ("{{ 'a' * 2000000 }}", "line 1 of the template: cannot be evaluated (OverflowError) (depends)"),
        ("{{ 9 ** 999 }}", "line 1 of the template: cannot be evaluated (OverflowError) (depends)"),
        ("{{ range(1000000) | list }}", "line 1 of the template: cannot be evaluated (OverflowError) (depends)"),
        ("a\n{{ 'a' | center(3000000000) }}", f"line 2 of the template: {memory.SAID} (depends)"),
        ("{{ '%3000000000d' | format(1) }}", f"line 1 of the template: {memory.SAID} (depends)"),
        ("{{ name.ljust(3000000000) }}", f"line 1 of the template: {memory.SAID} (depends)"),
        ("{{ '{:3000000000}'.format(1) }}", f"line 1 of the template: {memory.SAID} (depends)"),
        (
            "{% set x = namespace(a='aaaa') %}{% for i in range(40) %}{% set x.a = x.a ~ x.a %}{% endfor %}{{ x.a | length }}",
            f"line 1 of the template: {memory.SAID} (depends)",
        ),
        ("{{ ports | map('center', 3000000000) | list | length }}", f"line 1 of the template: {memory.SAID} (depends)"),
        ("{% for i in range(99999) %}{{ '%50d' % i }}{% endfor %}", "the template: renders to more than 1 MiB (depends)"),
        ("{% import 'x' as y %}", "line 1 of the template: a template cannot include another file"),
        ("{{ x", "line 1 of the template: is not valid Jinja: unexpected end of template, expected 'end of print statement'."),
        ('{{ env "X" }}\n{% if a %}', "line 1 of the template: is consul-template's, and line 2 is Jinja's"),
        ('\n{{ mustEnv "X" }}', "line 2 of the template: the variable X is empty, or not in the environment of the task (depends)"),
        ('\n{{ service "apy" | len }}', "line 2 of the template: there is no apy (depends)"),
        ('{{ env "SECRET" | parseInt }}', "line 1 of the template: parseInt was given something that is not a whole number (depends)"),
    ],
)
def test_what_does_not_render_is_said_without_a_value(tmp_path, text, said):
    assert refused(tmp_path, text) == f"embeddedTmpl: {said}"


def test_all_functions_that_there_are_not_are_said_at_once(tmp_path):
    text = (
        '{{ secret "a" }}\n{{ range nomadServices }}{{ .Port | trim | toYAML }}{{ end }}\n{{ secret "c" }}{{ nothing "d" }}\n{{ if "e" }}'
    )
    with pytest.raises(Unrendered) as raised:
        rendered(tmp_path, text)
    found = [str(each).removeprefix("line ").replace(" of the template", "") for each in (raised.value, *raised.value.also)]
    assert found == [
        "1: secret needs Vault, which is not available here",
        "2: nomadServices needs Nomad, which is not available here",
        "2: toYAML is not supported",
        "3: there is no function nothing",
        "4: if has no end",
    ]
    assert all(each.key == "embeddedTmpl" for each in raised.value.also)
    assert raised.value.also[0].remedy.startswith("look up each service by its name")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{{ nope }}\n{{ env.NOPE }}{{ env['NO'] | upper }}\n{{ other.x.y }}{% for i in many %}{% endfor %}{{ fine | default(1) }}",
            ["1: nope is undefined", "2: NOPE is not in the environment of the task", "2: NO is not in the environment of the task",
             "3: other is undefined", "3: many is undefined"],
        ),
        ("{{ nope }}\n{{ nope + 1 }}\n{{ 1 / 0 }}", ["1: nope is undefined"]),
        (
            '{{ mustEnv "A" }}{{ mustEnv "X" }}\n{{ mustEnv "B" }}{{ mustEnv "A" | parseInt }}',
            ["1: the variable A is empty, or not in the environment of the task",
             "1: the variable X is empty, or not in the environment of the task",
             "2: the variable B is empty, or not in the environment of the task",
             "2: the variable A is empty, or not in the environment of the task"],
        ),
        (
            '{{ env "A" | }}\n{{ if }}{{ end }}{{ range }}{{ end }}\n{{ $x := }}{{ $x }}{{ with ( ) }}{{ end }}',
            ["1: has nothing after |", "2: if lacks a condition", "2: range lacks what it goes over", "3: sets $x to nothing",
             "3: has nothing where a value should be"],
        ),
    ],
)  # fmt: skip
def test_all_mistakes_of_a_template_are_said_at_once(tmp_path, text, said):
    with pytest.raises(Unrendered) as raised:
        rendered(tmp_path, text)
    assert [str(each).removeprefix("line ").replace(" of the template", "") for each in (raised.value, *raised.value.also)] == said
    assert "define it for the robot" not in next((each.remedy for each in raised.value.also if "environment" in str(each)), "")


def test_of_a_secret_text_no_word_is_shown(tmp_path):
    said = "embeddedTmpl: line 1 of the template: has a mistake, which is not shown because the text is secret"
    for text in ("{{ canary canary", "{{ canary }}", '{{ env "A" canary }}'):
        assert refused(tmp_path, Secret(text)) == said
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/vaulted").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n", encoding="utf-8")
    with pytest.raises(Unrendered, match="is not shown") as raised:
        rendering.Renderer(tmp_path, lambda _path: "{{ canary", lambda _robot: None)(SITE, Template("local/a", "vaulted"), {}, services)
    assert "canary" not in str(raised.value)


def test_of_a_robot_that_is_not_reached_the_syntax_is_looked_at(tmp_path):
    assert rendered(tmp_path, "{{ missing }}", reached=False) == ""
    assert "not valid Jinja" in refused(tmp_path, "{{ x", reached=False)
    assert "secret needs Vault" in refused(tmp_path, '{{ secret "x" }}', reached=False)


def test_a_template_that_takes_forever_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "SECONDS", 0.2)
    text = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}"
    assert "takes more than" in refused(tmp_path, text)


def test_files_are_found_beside_the_job_file(tmp_path):
    (tmp_path / "jobs/conf").mkdir(parents=True)
    (tmp_path / "jobs/conf/a.j2").write_text("{{ name }}", encoding="utf-8")
    (tmp_path / "b").write_text("b", encoding="utf-8")
    (tmp_path / "jobs/link").symlink_to("../b")
    assert rendered(tmp_path, source_path="conf/a.j2") == "front"
    assert rendered(tmp_path, source_path="../b") == rendered(tmp_path, source_path="link") == "b"
    (tmp_path / "jobs/vaulted").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n", encoding="utf-8")
    assert rendered(tmp_path, source_path="vaulted") == "decrypted vaulted"


def test_what_is_no_file_of_text_is_said(tmp_path):
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    os.mkfifo(jobs / "fifo")
    (jobs / "huge").write_bytes(b"x" * (rendering.LARGEST + 1))
    (jobs / "bytes").write_bytes(b"\xff")
    (jobs / "wrong").write_text("\n{{ x", encoding="utf-8")
    for name, said in {
        "none": f"No such file or directory (looked for in {jobs})",
        "fifo": "is not a regular file",
        "huge": "is longer than 1 MiB",
        "bytes": "is not UTF-8",
        "wrong": "line 2 of wrong: is not valid Jinja: unexpected end of template, expected 'end of print statement'.",
    }.items():
        assert refused(tmp_path, source_path=name) == f"sourcePath: {said}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ name | regex_replace('(', '') }}",
        "{{ cycler() }}",
        "{{ range(3) | to_yaml }}",
        "{{ namespace(x=secret) | to_yaml }}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{% if true %}" * 200 + "x" + "{% endif %}" * 200,
        '{{ printf "%c" 55296 }}',
        '{{ parseInt "' + "9" * 5000 + '" }}',
        '{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range loop 28 }}{{ $x = print $x $x }}{{ end }}',
        "{{ '\ud800' }}",
    ],
    ids=range(10),
)
def test_whatever_python_makes_of_it_is_a_mistake_of_the_template(tmp_path, text):
    assert refused(tmp_path, text).startswith("embeddedTmpl: ")


CONSUL = {"provider": Provider.CONSUL}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{{ key "a" }}', {}),
        ('{{ range services }}{{ .Name | sprig_upper }}{{ end }}{{ "x" | toYAML }}', {}),
        ('{{ range service "api" }}{{ .Port }}{{ end }}', CONSUL),
        ('{{ range service "queue" }}{{ .Port }}{{ end }}', {}),
        ('{{ with index (service "queue") 0 }}{{ .Port }}{{ end }}', {}),
    ],
    ids=["a-function-of-consul", "and-others-of-consul-template", "on-request", "a-service-in-consul", "of-which-nothing-is-known-here"],
)
def test_what_asks_consul_is_left_to_the_robot(tmp_path, text, keys):
    made = rendered(tmp_path, text, **keys)
    assert isinstance(made, Watched)
    assert made == text


@pytest.mark.parametrize(
    ("text", "keys", "said"),
    [
        ('{{ key "a" }}', {"provider": Provider.NATIVE}, "line 1 of the template: key needs Consul, which is not available here"),
        (
            '{{ key "a" }}\n{{ nomadService "api" }}',
            {},
            "line 2 of the template: nomadService does not ask Consul, and this text is rendered from Consul alone",
        ),
        ('{{ file "/etc/shadow" }}', CONSUL, "line 1 of the template: file needs a file, which is not available here"),
        ('{{ key "a" | nope }}', {}, "line 1 of the template: there is no function nope"),
        ("{{ name }}", CONSUL, "the template: has `provider`, but nothing in it is written for consul-template"),
        ('{{ nomadService "queue" }}', {}, "line 1 of the template: the service queue is in Consul (depends)"),
        ('{{ service "queue" }}', {"provider": Provider.NATIVE}, "line 1 of the template: the service queue is in Consul (depends)"),
        (
            '{{ range service "api" }}{{ .Port }}{{ end }}{{ range service "queue" }}{{ .Port }}{{ end }}',
            {},
            "the template: looks up both services of this run and services in Consul",
        ),
    ],
)
def test_what_cannot_ask_consul_is_refused(tmp_path, text, keys, said):
    assert refused(tmp_path, text, **keys) == f"embeddedTmpl: {said}"


class Measuring:
    """The variables of a robot: each is what limit this process has while Ansible tells it."""

    def has(self, name):
        return name == "limit"

    def value(self, _name):
        return list(resource.getrlimit(resource.RLIMIT_AS))


def test_memory_is_limited_for_the_template_alone(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_AS)
    render = rendering.Renderer(tmp_path, str, lambda _robot: Measuring())
    template = Template(dest_path="local/a", embedded_tmpl="{{ limit | to_json }}")
    assert render(SITE, template, {}, services) == json.dumps(before)
    assert memory.SAID in refused(tmp_path, "{{ 'a' | center(3000000000) }}")
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_lower_limit_of_somebody_else_stays(monkeypatch):
    monkeypatch.setattr(memory, "_taken", lambda: 4)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (5, 10))
    monkeypatch.setattr(resource, "setrlimit", lambda *_both: pytest.fail("it is changed"))
    with memory.limit():
        pass


def test_a_large_template_has_the_memory_that_it_takes(tmp_path):
    lines = "{% for i in range(9000) %}{% set x = {'a': [i, i], 'b': 'c' * 40} %}{{ x | to_json }}\n{% endfor %}"
    assert 600_000 < len(rendered(tmp_path, lines)) < 2**20
