# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `job` as users give it, and Ansible's vault and Jinja as the reader sees them."""

from __future__ import annotations

import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files import JobFiles

WANTED = "job= takes a file or a directory; separate several with commas"
SECRETS = [("default", VaultSecret(b"password"))]


class HostVars:
    def raw_get(self, _host):
        return {}


@pytest.fixture
def job_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ansible_collections.k8s4r.robot.plugins.plugin_utils.run.job_files.load_extra_vars", lambda _loader: {})
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


def test_a_template_that_makes_half_a_character(job_files):
    pathlib.Path("a.yml.j2").write_text('name: {{ "%c" % 55296 }}', encoding="utf-8")
    assert errors(job_files, "a.yml.j2") == [
        "a.yml.j2:1:7: found U+D800: half of a surrogate pair, which is not a character (after rendering); write the character itself"
    ]
