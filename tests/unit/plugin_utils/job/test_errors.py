# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is reported exactly, and all at once."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors, Problem, together
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import nodes
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.nodes import MAX_NODES
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.reader import load
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Options, Source

GOLDEN = (pathlib.Path(__file__).parent / "bad_inputs.txt").read_text(encoding="utf-8")
CASES = re.findall(r"^### (.+)\n((?:.*\n)*?)### gives\n((?:.+\n?)+)", GOLDEN, re.MULTILINE)
NO_OPTIONS = Options()
JOB = 'name: demo\ntaskGroups: [{name: g, tasks: [{name: t, config: {execConfig: {command: "true"}}%s}]}]\n'


def errors(text, options=NO_OPTIONS, **source):
    with pytest.raises(JobErrors) as caught:
        load([Source("job.yml", text, **source)], options)
    return str(caught.value).split("\n")


def problems(*sources):
    with pytest.raises(JobErrors) as caught:
        load(sources)
    return caught.value.errors


def load_errors(*sources):
    return [str(problem) for problem in problems(*sources)]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input_gets_these_lines(text, expected):
    assert errors(text) == expected.strip().split("\n")


def test_every_golden_case_is_found():
    assert len(CASES) == GOLDEN.count("### gives") > 90


def test_control_character():
    assert errors("name: a\x01\n") == ["job.yml:1:8: not valid YAML: character U+0001 is not allowed; remove it"]


def test_not_utf_8():
    assert errors(b"name: \xff\n") == ["job.yml: is not UTF-8 (byte 7); save it as UTF-8"]


def test_half_of_a_surrogate_pair_that_is_no_escape():
    """Jinja may make one. libyaml would take the text as UTF-8, which it is not."""
    [rendered, other] = load_errors(Source("a.j2", "name: demo\nmeta: {a: \ud800}\n", rendered=True), Source("b.yml", "1"))
    message = "found U+D800: half of a surrogate pair, which is not a character (after rendering)"
    assert rendered == f"a.j2:2:11: {message}; write the character itself"
    assert other.startswith("b.yml:1:1: ")


def test_huge_negative_number():
    [line] = errors(f"priority: -{'9' * 50}\n" + JOB % "")
    assert "less than 0; allowed: 0 to 100" in line


def test_huge_number():
    [line] = errors(f"priority: {'9' * 5000}\n" + JOB % "")
    assert line == f'job.yml:1:11: priority: found "{"9" * 60}...": more than 100; allowed: 0 to 100'


@pytest.mark.parametrize("character", ["x", "ö"])
def test_argument_longer_than_linux_takes(character):
    [line] = errors(JOB % f", env: {{A: {character * 131072}}}")
    assert line.endswith("and Linux starts no program with more than 131,072; put it into a file that the task reads")


def test_all_errors_of_all_files_together():
    sources = [Source("a.yml", "name: a/b\ntaskGroups: [{name: g, count: x}]\n"), Source("b.yml", "a: ["), Source("c.yml", "name: c\n")]
    with pytest.raises(JobErrors) as caught:
        load(sources)
    assert [(problem.file, problem.path) for problem in caught.value.errors] == [
        ("a.yml", "name"),
        ("a.yml", "taskGroups[0].tasks"),
        ("a.yml", "taskGroups[0].count"),
        ("b.yml", ""),
        ("c.yml", "taskGroups"),
    ]


def test_documents_before_a_syntax_error_are_reported_too():
    assert [line.split(": ")[0] for line in errors("taskGroups: 1\n---\na: [\n")] == ["job.yml:1:13", "job.yml:4:1"]


def test_errors_are_data():
    with pytest.raises(JobErrors) as caught:
        load([Source("job.yml", JOB % ", timeout: 5")])
    assert caught.value.errors == (
        Problem("job.yml", 'found "5": the unit is missing', "did you mean 5s?", "taskGroups[0].tasks[0].timeout", line=2, column=92),
    )


def test_a_cause_is_reported_once_with_all_its_lines_and_robots():
    def problem(line, robot, file="job.yml", cause="${a} has no value"):
        return Problem(file, "${a} has no value", "define it", f"env.{line}", line, 1, (robot,), cause)

    found = [problem(9, "r1"), problem(3, "r1"), problem(9, "r2"), problem(3, "r2"), problem(4, "r1"), problem(3, "r1", "other.yml")]
    once = together(found)
    assert [str(each) for each in once] == [
        "job.yml:3:1: env.3: ${a} has no value, also on line 9 (for r1, r2); define it",
        "job.yml:4:1: env.4: ${a} has no value (for r1); define it",
        "other.yml:3:1: env.3: ${a} has no value (for r1); define it",
    ]
    assert together([*once, problem(5, "r1")._replace(robots=("r1", "r2"))])[0].also == (5, 9)
    assert len(together([problem(1, "r1", cause=""), problem(2, "r1", cause="")])) == 2
    many = together([problem(line, "r1") for line in range(1, 20)])
    assert ", also on lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more (for r1)" in str(many[0])


def test_errors_are_in_the_order_of_the_lines_in_that_of_the_files():
    places = [("b.yml", 9, 5), ("a.yml", 2, 1), ("b.yml", 9, 2), ("b.yml", 0, 0), ("b.yml", 4, 7)]
    found = together(Problem(file, "is wrong", line=line, column=column) for file, line, column in places)
    assert [(each.file, each.line, each.column) for each in found] == [
        *(("b.yml", *place) for place in ((0, 0), (4, 7), (9, 2), (9, 5))),
        ("a.yml", 2, 1),
    ]


def test_a_file_name_cannot_forge_lines():
    with pytest.raises(JobErrors, match=re.escape("a\\nb.yml: contains no job")):
        load([Source("a\nb.yml", "")])


def test_rendered_text_is_said_to_be():
    [line] = errors(JOB.replace("demo", "a b") % "", rendered=True)
    assert line.startswith('job.yml:1:7: name: found "a b", which contains " ": a name has 1 to 63 ')
    assert line.endswith(" (after rendering)")


TOO_DEEP = {
    "flow": "[" * 400_000 + "]" * 400_000,
    "sequence": "- " * 400_000,
    "key": "? " * 400_000,
    "mapping": "{a: " * 200_000,
    # libyaml 0.2.6 has a limit of 1000 levels.
    "some flow": "[" * 1001 + "]" * 1001,
    "a little flow": "[" * 101 + "]" * 101,
    "lines": "".join(" " * level + "a:\n" for level in range(101)),
}


@pytest.mark.parametrize("text", TOO_DEEP.values(), ids=TOO_DEEP.keys())
def test_deep_nesting_does_not_reach_the_stack(text):
    assert errors(text) == ["job.yml: is nested deeper than 100 levels; no job needs that"]


def test_the_deepest_nesting_that_is_read():
    assert errors("[" * 100 + "]" * 100) == ["job.yml:1:1: found a list: expected a mapping; a job is a mapping with taskGroups"]


def test_large_file():
    assert errors("#" * 2**20 + "\n") == ["job.yml: is longer than 1024 KiB; split it into several job files"]


def test_bomb_of_aliases():
    tasks = "".join(f"  - &t{i} {{name: t, config: {{execConfig: {{command: x, args: [{', '.join(['a'] * 500)}]}}}}}}\n" for i in range(1))
    text = f"name: bomb\ntaskGroups:\n- name: a\n  tasks: &tasks\n{tasks}" + "  - *t0\n" * 500
    assert any(f"expands to more than {MAX_NODES} values; use fewer aliases" in line for line in errors(text))


def test_bomb_of_merge_keys():
    levels = "".join(f"- &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
    [line] = errors(f"name: bomb\ntaskGroups:\n- &m0 {{name: g}}\n{levels}")
    assert f"expands to more than {MAX_NODES} values; use fewer aliases" in line


def test_alias_inside_what_it_names():
    assert errors("&a\n<<: *a\nname: x\n") == ["job.yml:1:1: an alias is used inside what it refers to; write out what it refers to"]


class TestVault:
    @staticmethod
    def decrypt(text):
        if "good" not in text:
            raise ValueError("no vault secret decrypts it")
        return "s3cret"

    def test_without_a_password(self):
        [line] = errors(JOB % ", env: {A: !vault good}")
        remedy = "add --vault-password-file <file with the password>, or --ask-vault-pass to be asked for it"
        assert line.endswith(f"env.A: found a vaulted value, but no vault password was given; {remedy}")

    def test_no_password_is_one_error_however_many_values_there_are(self):
        env = ", env: {A: !vault good,\n B: !vault good,\n C: x y, D: !vault good}, user: a b"
        lines = errors(JOB % env)
        assert [line.partition(";")[0] for line in lines] == [
            "job.yml:2:92: taskGroups[0].tasks[0].env.A: found a vaulted value, but no vault password was given, also on lines 3, 4",
            lines[1].partition(";")[0],
        ]
        assert "user: found" in lines[1]
        assert len(errors(JOB % env.replace("good", "bad"), Options(self.decrypt))) == 2

    def test_with_a_wrong_password(self):
        [line] = errors(JOB % ", env: {A: !vault bad}", Options(self.decrypt))
        assert line.endswith("env.A: cannot be decrypted (no vault secret decrypts it); check the vault password")

    @pytest.mark.parametrize("noncharacter", ["\ufdd0", "\ufdef", "\ufffe", "\uffff", "\U0003fffe", "\U0010ffff"])
    def test_a_noncharacter_is_reported_without_its_secret(self, noncharacter):
        [line] = errors(JOB % ", env: {A: !vault good}", Options(lambda _text: f"s3{noncharacter}cret"))
        remedy = "remove it: systemd cannot pass it to a program"
        assert line.endswith(f"env.A: the text contains a Unicode noncharacter, such as U+FFFE; {remedy}")

    @pytest.mark.parametrize(("value", "found"), [("[good]", "a list"), ("{good: b}", "a mapping"), ("''", "nothing")])
    @pytest.mark.parametrize("options", [NO_OPTIONS, Options(lambda text: text.strip("\n"))])
    def test_what_is_no_text(self, value, found, options):
        [line] = errors(JOB % f", env: {{A: !vault {value}}}", options)
        assert line.endswith(f"env.A: found {found}: expected text after !vault; write what ansible-vault encrypt_string printed")

    def test_where_it_cannot_stay_secret(self):
        [line] = errors(JOB % ", user: !vault good", Options(self.decrypt))
        assert "user: a vaulted value cannot be kept secret here; use vaulted values in env and meta" in line
        assert "s3cret" not in line

    def test_a_vaulted_file_shows_no_value(self):
        lines = errors(JOB % ', user: "s3cret s3cret", timeout: s3cret, env: {A: 1234}, driver: s3cret', vaulted=True)
        assert len(lines) == 4
        assert not re.search("s3cret|1234", "\n".join(lines))

    def test_no_hint_shows_a_value_either(self):
        job = JOB % ", timeout: 4711, killSignal: SIGTREM, resources: {cpu: 4712, memory: 4713}"
        lines = errors(job, vaulted=True)
        assert len(lines) == 4
        assert not re.search("471[123]|TREM|TERM,", "\n".join(lines))

    @pytest.mark.parametrize("text", [text for _name, text, _expected in CASES if "---" not in text])
    def test_nothing_quoted_is_of_the_file(self, text):
        """Paths name keys, and keys are no secrets; what follows them quotes nothing that was found."""
        for problem in problems(Source("job.yml", text, vaulted=True)):
            assert not re.search('"[^"]+"', problem.message + problem.remedy)

    @pytest.mark.parametrize("text", [text for _name, text, _expected in CASES if "---" not in text])
    def test_what_is_wrong_with_a_hidden_value_is_still_reported(self, text):
        """A message without the value has the reason, word for word as it is beside the value."""
        shown = [problem.message for problem in problems(Source("job.yml", text))]
        hidden = [problem.message for problem in problems(Source("job.yml", text, vaulted=True))]
        for full, reason in zip(shown, hidden, strict=True):
            assert re.fullmatch(f"(found .+: )?{re.escape(reason)}", full)
            assert not reason.startswith("found ")

    def test_where_the_value_is_the_reason(self):
        """Another spelling of an address, and two keys with one variable."""
        network = "network: {services: [{name: s, port: 80, to: 'localhost:81', address: '0::0'}]}"
        lines = errors(f"meta: {{a-b: x, a_b: y}}\n{JOB.replace('{name: g', f'{{name: g, {network}')}" % "", vaulted=True)
        assert [line.partition(": ")[2] for line in lines] == [
            "meta.a_b: sets the variable NOMAD_META_A_B, as meta.a-b does; rename one of them",
            "taskGroups[0].network.services[0].address: not the usual spelling of this address; write it in its shortest form",
        ]


class TestWithoutLibyaml:
    """PyYAML may be built without it; its own parser words syntax errors otherwise, and all else stays."""

    @pytest.fixture(autouse=True)
    def _pure_python(self, monkeypatch):
        monkeypatch.setattr(nodes, "_LOADER", nodes.limited(yaml.SafeLoader))

    def test_the_same_lines(self):
        def but_columns(lines):
            return [re.sub(r"^(job\.yml:\d+):\d+", r"\1", line) for line in lines]

        for _name, text, expected in CASES:
            if "not valid YAML" not in expected:
                assert but_columns(errors(text)) == but_columns(expected.strip().split("\n"))

    @pytest.mark.parametrize("text", [case[1] for case in CASES if "not valid YAML" in case[2]] + ["a: \x01", "- " * 3000])
    def test_syntax(self, text):
        [line] = errors(text)
        assert re.match(r"job\.yml(:\d+:\d+)?: (not valid YAML: |is nested deeper)", line)

    @pytest.mark.parametrize("text", TOO_DEEP.values(), ids=TOO_DEEP.keys())
    def test_deep_nesting(self, text):
        test_deep_nesting_does_not_reach_the_stack(text)

    def test_half_of_a_surrogate_pair(self):
        [line] = errors(JOB % ', user: "\\ud800"')
        assert line.endswith("user: the text contains half of a surrogate pair; write the character itself")


def test_more_errors_than_anybody_reads_are_counted():
    tasks = ", ".join("{}" for _number in range(60))
    lines = errors(f"name: demo\ntaskGroups: [{{name: g, tasks: [{tasks}]}}]\n")
    assert (len(lines), lines[-1]) == (51, "and 70 more errors")
