# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `job` as users give it, and Ansible's vault and Jinja as the reader sees them."""

from __future__ import annotations

import pathlib
import resource
import textwrap

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar, trust_as_template

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files.reading import COMMENT, JobFiles
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating import memory

WANTED = "job= takes a file or a directory; separate several with commas"
SECRETS = [("default", VaultSecret(b"password"))]


class HostVars:
    """What the group `all` has."""

    everywhere: dict = {}
    more: dict = {}

    def raw_get(self, _host):
        return {"k8s4r_vars": self.everywhere, **self.more}


@pytest.fixture
def job_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files.reading.load_extra_vars", lambda _loader: {})
    loader = DataLoader()
    loader.set_vault_secrets(SECRETS)
    return JobFiles(loader, Templar(loader=loader, variables={}), {"hostvars": HostVars()})


def errors(job_files, job):
    with pytest.raises(JobErrors) as raised:
        job_files.read(job)
    return [str(error) for error in raised.value.errors]


@pytest.mark.parametrize("job", [5, 0, True, False, 1.5, {"a": "b"}])
def test_what_is_no_path_is_told(job_files, job):
    assert errors(job_files, job) == [f'job: found "{job}", which is not a path; {WANTED}']
    assert errors(job_files, ["a.yml", job, job]) == 2 * [f'job: found "{job}", which is not a path; {WANTED}']


@pytest.mark.parametrize("job", [None, [], ","])
def test_nothing_is_no_path_and_no_error(job_files, job):
    assert job_files.sources(job) == []


def test_paths_with_commas_between_them(job_files):
    for name in ("a.yml", "b.yml", "c,d.yml"):
        pathlib.Path(name).write_text("name: x", encoding="utf-8")
    assert [source.name for source in job_files.sources("a.yml, b.yml")] == ["a.yml", "b.yml"]
    assert [source.name for source in job_files.sources("c,d.yml")] == ["c,d.yml"]
    assert [source.name for source in job_files.sources([pathlib.Path("a.yml"), "c,d.yml"])] == ["a.yml", "c,d.yml"]


def test_a_long_text_with_a_comma_is_two_paths(job_files):
    long, short = errors(job_files, "x" * 300 + ",b.yml")
    assert long.startswith("x" * 300 + ": File name too long")
    assert short.startswith("b.yml: No such file or directory")


def test_vaulted_files_that_hold_no_text(job_files):
    pathlib.Path("broken.yml").write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n\xff")
    pathlib.Path("latin.yml").write_bytes(VaultLib(SECRETS).encrypt(b"name: \xff"))
    assert errors(job_files, "broken.yml,latin.yml") == [
        "broken.yml: cannot be decrypted (it starts like a vaulted file but is not ASCII); encrypt it again, or remove the first line",
        "latin.yml: is not UTF-8 once it is decrypted; save it as UTF-8 and encrypt it again",
    ]


def test_without_the_vault_password_it_is_said_what_to_do(job_files):
    job = "name: x\nmeta:\n  A: !vault |\n%s\ntaskGroups: [{name: g, tasks: [{name: t, config: {execConfig: {command: x}}}]}]\n"
    encrypted = VaultLib(SECRETS).encrypt(b"s3cret").decode()
    pathlib.Path("all.yml").write_text(encrypted, encoding="utf-8")
    pathlib.Path("value.yml").write_text(job % textwrap.indent(encrypted, "    "), encoding="utf-8")
    job_files.loader.set_vault_secrets([])
    what, remedy = (
        "no vault password was given",
        "add --vault-password-file <file with the password>, or --ask-vault-pass to be asked for it",
    )
    assert errors(job_files, "all.yml") == [f"all.yml: is encrypted, but {what}; {remedy}"]
    assert errors(job_files, "value.yml") == [f"value.yml:3:6: meta.A: found a vaulted value, but {what}; {remedy}"]
    job_files.loader.set_vault_secrets([("other", VaultSecret(b"wrong"))])
    [wrong] = errors(job_files, "all.yml")
    assert wrong.startswith("all.yml: cannot be decrypted (")
    assert wrong.endswith("); check the vault password")


def test_a_template_that_makes_half_a_character(job_files):
    pathlib.Path("a.yml.j2").write_text('name: {{ "%c" % 55296 }}', encoding="utf-8")
    assert errors(job_files, "a.yml.j2") == [
        "a.yml.j2:1:7: found U+D800: half of a surrogate pair, which is not a character (after rendering); write the character itself"
    ]


TEMPLATES = [
    ("a: 1\nb: {{ pw }}\n", "a.yml.j2:2: cannot be rendered: 'pw' is undefined"),
    ("a: 1\n\nb: {{ k8s4r_vars.speed }}\n", "a.yml.j2:3: cannot be rendered: object of type 'dict' has no attribute 'speed'"),
    (
        "a: 1\nb: {% if %}\n",
        "a.yml.j2:2: cannot be rendered: Syntax error in template: Expected an expression, got 'end of statement block'",
    ),
    ("a: {{ 1 / 0 }}\n", "a.yml.j2: cannot be rendered: Error rendering template: division by zero"),
    (
        "a: 1\nb: '{#'\n",
        f"a.yml.j2:2: cannot be rendered: Syntax error in template: Missing end of comment tag; {COMMENT}",
    ),
]


@pytest.mark.parametrize(("text", "words"), TEMPLATES)
def test_a_mistake_in_a_template_is_told_with_file_and_line(job_files, text, words):
    pathlib.Path("jobs").mkdir()
    pathlib.Path("jobs/a.yml.j2").write_text(text, encoding="utf-8")
    assert errors(job_files, "jobs") == [f"jobs/{words}"]


def test_variables_that_are_no_mapping_are_told(job_files, monkeypatch):
    pathlib.Path("a.yml.j2").write_text("name: {{ k8s4r_vars.x }}", encoding="utf-8")
    monkeypatch.setattr(HostVars, "everywhere", ["x"])
    assert errors(job_files, "a.yml.j2") == ["a.yml.j2: cannot be rendered: k8s4r_vars of the inventory's group `all` is not a mapping"]


def test_what_of_a_template_is_a_secret(job_files, monkeypatch):
    """As docs/environment.md has it: what is rendered is none, and two ways lead out."""

    def secrets(text: str, name: str) -> set[str]:
        pathlib.Path(name).write_text(text, encoding="utf-8")
        ((job,), _warnings) = job_files.read(name)
        (task,) = job.task_groups[0].tasks
        return {key for key, value in task.env.items() if isinstance(value, Secret)}

    monkeypatch.setattr(HostVars, "everywhere", {"password": "s3cret"})
    # Ansible decrypts single values in a run of its own alone.
    monkeypatch.setattr(JobFiles, "_decrypt", lambda _files, _text: "s3cret")
    written = textwrap.indent(VaultLib(SECRETS).encrypt(b"s3cret").decode(), 12 * " ")
    job = (
        "name: x\ntaskGroups:\n  - name: g\n    tasks:\n      - name: t\n        config: {execConfig: {command: x}}\n        env:\n"
        f"          RENDERED: '{{{{ k8s4r_vars.password }}}}'\n          WRITTEN: !vault |\n{written}"
    )
    assert secrets(job, "a.yml.j2") == {"WRITTEN"}
    assert secrets(VaultLib(SECRETS).encrypt(job).decode(), "b.yml.j2") == {"RENDERED", "WRITTEN"}


NESTED = {"deep": [{"er": trust_as_template("{{ base }}")}]}
VALUES = [
    ({"speed": trust_as_template("{{ base }}")}, "k8s4r_vars.speed", "3"),
    ({"speed": trust_as_template("{{ base + 1 }}"), "wrong": trust_as_template("{{ nothing }}")}, "k8s4r_vars.speed", "4"),
    ({"speed": NESTED}, "k8s4r_vars.speed.deep[0].er", "3"),
    (trust_as_template("{{ site }}"), "k8s4r_vars.speed", "7"),
    ({"speed": "{{ base }}"}, "k8s4r_vars.speed", "{{ base }}"),
    ({"speed": trust_as_template("{{ base }}")}, "base | default('unseen')", "unseen"),
]


@pytest.mark.parametrize(("everywhere", "expression", "value"), VALUES)
def test_variables_may_be_templates_of_what_all_has(job_files, monkeypatch, everywhere, expression, value):
    monkeypatch.setattr(HostVars, "everywhere", everywhere)
    monkeypatch.setattr(HostVars, "more", {"base": 3, "site": {"speed": 7}})
    for name in ("a.yml.j2", "b.yml.j2"):
        pathlib.Path(name).write_text(f"name: {{{{ {expression} }}}}", encoding="utf-8")
    for files in (job_files, job_files._replace(lookups=False)):
        assert [source.text for source in files.sources("a.yml.j2,b.yml.j2")] == 2 * [f"name: {value}"]


def test_a_variable_that_cannot_be_rendered_is_an_error_of_those_who_use_it(job_files, monkeypatch):
    pathlib.Path("a.yml.j2").write_text("name: {{ k8s4r_vars.speed }}", encoding="utf-8")
    monkeypatch.setattr(HostVars, "everywhere", {"speed": trust_as_template("{{ nothing }}")})
    assert errors(job_files, "a.yml.j2") == ["a.yml.j2: cannot be rendered: 'nothing' is undefined"]
    monkeypatch.setattr(HostVars, "everywhere", trust_as_template("{{ nothing }}"))
    assert errors(job_files, "a.yml.j2") == [
        "a.yml.j2: cannot be rendered: k8s4r_vars of the inventory's group `all`: 'nothing' is undefined"
    ]


def test_a_vaulted_variable_needs_its_password_only_where_it_is_used(job_files, monkeypatch):
    vaulted = DataLoader().load(f"!vault |\n{textwrap.indent(VaultLib(SECRETS).encrypt(b's3cret').decode(), '  ')}")
    monkeypatch.setattr(HostVars, "everywhere", {"speed": trust_as_template("{{ base }}"), "password": vaulted})
    monkeypatch.setattr(HostVars, "more", {"base": 3})
    pathlib.Path("a.yml.j2").write_text("name: {{ k8s4r_vars.speed }}", encoding="utf-8")
    pathlib.Path("b.yml.j2").write_text("name: {{ k8s4r_vars.password }}", encoding="utf-8")
    assert [source.text for source in job_files.sources("a.yml.j2")] == ["name: 3"]
    (told,) = errors(job_files, "b.yml.j2")
    assert "undecryptable variable" in told


def test_extra_variables_go_first_and_may_be_templates(job_files, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files.reading.load_extra_vars",
        lambda _loader: {"k8s4r_vars": {"speed": trust_as_template("{{ base }}")}, "who": "anna"},
    )
    monkeypatch.setattr(HostVars, "everywhere", {"speed": 1})
    monkeypatch.setattr(HostVars, "more", {"base": 3})
    pathlib.Path("a.yml.j2").write_text("name: {{ who }} {{ k8s4r_vars.speed }}", encoding="utf-8")
    assert [source.text for source in job_files.sources("a.yml.j2")] == ["name: anna 3"]


RUNS = "a.yml.j2: uses lookups, which may run programs on this machine; add -e lookups=true if you trust the file"
PROGRAMS = [
    "name: {{ lookup('pipe', 'touch ran') }}",
    "name: {% set look = lookup %}{{ look('pipe', 'touch ran') }}",
    "name: {{ q('pipe', 'touch ran') }}",
    "{% import 'other' as other %}name: {{ other.name() }}",
    "{% set name = 'other' %}{% include name %}",
    # Jinja finds it all the same.
    "{% include '/other' %}",
    "{% import '/other' as other %}name: {{ other.name() }}",
    "#jinja2: variable_start_string:'[[', variable_end_string:']]'\nname: [[ lookup('pipe', 'touch ran') ]]",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_a_file_that_is_only_checked_runs_no_program(job_files, text):
    pathlib.Path("other").write_text("{% macro name() %}{{ lookup('pipe', 'touch ran') }}{% endmacro %}{{ name() }}", encoding="utf-8")
    pathlib.Path("a.yml.j2").write_text(text, encoding="utf-8")
    assert errors(job_files._replace(lookups=False), "a.yml.j2") == [RUNS]
    assert not pathlib.Path("ran").exists()
    job_files.sources("a.yml.j2")
    assert pathlib.Path("ran").exists()


def test_what_is_a_mistake_to_jinja_alone_is_one_in_a_file_that_is_only_checked(job_files):
    """Ansible reads the backslash as a character, so that the text is a template to it, and runs the program."""
    pathlib.Path("a.yml.j2").write_text("name: {{ '\\x' }}{{ lookup('pipe', 'touch ran') }}", encoding="utf-8")
    (told,) = errors(job_files._replace(lookups=False), "a.yml.j2")
    assert told.startswith("a.yml.j2:1: is not a template that can be checked: truncated ")
    assert not pathlib.Path("ran").exists()
    job_files.sources("a.yml.j2")
    assert pathlib.Path("ran").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: {% if %}\n", "2: is not a template that can be checked: Expected an expression, got 'end of statement block'"),
        ("a: 1\nb: '{#'\n", f"2: is not a template that can be checked: Missing end of comment tag; {COMMENT}"),
        ("a: {% include 'none' %}", " cannot be rendered: Error rendering template: 'none' not found in search path"),
    ],
)
def test_a_mistake_in_a_file_that_is_only_checked_is_told(job_files, text, words):
    pathlib.Path("a.yml.j2").write_text(text, encoding="utf-8")
    (told,) = errors(job_files._replace(lookups=False), "a.yml.j2")
    assert told.startswith(f"a.yml.j2:{words}")


@pytest.mark.parametrize("text", ["name: a{% include 'none' ignore missing %}", "{% include ['none', 'there'] %}"])
def test_a_file_that_is_only_checked_need_not_have_all_that_it_may_include(job_files, text):
    pathlib.Path("there").write_text("name: a", encoding="utf-8")
    pathlib.Path("a.yml.j2").write_text(text, encoding="utf-8")
    assert [source.text for source in job_files._replace(lookups=False).sources("a.yml.j2")] == ["name: a"]


@pytest.mark.parametrize("text", ["name: {{ 'x' * 2000000000 }}", "a: 1\nname: {{ 'x' | center(2000000000) }}"])
def test_a_file_that_is_only_checked_takes_no_more_memory_than_it_may(job_files, text):
    pathlib.Path("a.yml.j2").write_text(text, encoding="utf-8")
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert errors(job_files._replace(lookups=False), "a.yml.j2") == [f"a.yml.j2: cannot be rendered: {memory.SAID}; {memory.REMEDY}"]
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize("text", ["name: {{ 'a' | to_json }}", "name: {{ 'a' if 'a' is ansible.builtin.match('a') else 'b' }}"])
def test_filters_and_tests_of_ansible_are_no_lookups(job_files, text):
    pathlib.Path("a.yml.j2").write_text(text, encoding="utf-8")
    assert [source.text for source in job_files._replace(lookups=False).sources("a.yml.j2")] == [job_files.sources("a.yml.j2")[0].text]
