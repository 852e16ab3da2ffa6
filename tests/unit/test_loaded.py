# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is forked from a process with Ansible in it does what one does that a person starts."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests import loaded

TASKS = [
    {"ansible.builtin.debug": {"msg": "{{ lookup('ansible.builtin.env', 'K8S4R_SAID') }} in {{ lookup('ansible.builtin.env', 'PWD') }}"}},
    {"ansible.builtin.command": "{{ asked }}"},
]


def _without_times(output):
    return re.sub(r'"(start|end|delta)": "[^"]*"', "", output)


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path / "temporary"), "ANSIBLE_NOCOLOR": "1", "PWD": str(tmp_path)}


@pytest.fixture
def play(tmp_path):
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": TASKS}]), encoding="utf-8")
    return path


def test_it_ends_and_says_as_one_that_a_person_starts(environment, play, tmp_path):
    for asked, status in (("/bin/true", 0), ("/bin/false", 2)):
        mine = {**environment, "K8S4R_SAID": asked}
        found = loaded.run("play.yml", "-e", f"asked={asked}", environment=mine, directory=tmp_path)
        argv = [loaded.PROGRAM, play, "-e", f"asked={asked}"]
        plain = subprocess.run(argv, env=mine, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert f"{asked} in {tmp_path}" in found.stdout
        assert (found.returncode, plain.returncode) == (status, status), plain.stdout + plain.stderr
        assert _without_times(found.stdout) == _without_times(plain.stdout)
        assert found.stderr == plain.stderr
    assert list((tmp_path / "temporary").iterdir()) == [], "each takes its directory away"


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(environment, play, tmp_path):
    # The first one waits until Ansible is loaded.
    assert loaded.run(play, "-e", "asked=/bin/true", environment=environment, directory=tmp_path).returncode == 0
    with pytest.raises(TimeoutError):
        loaded.run(play, "-e", "asked='sleep 600'", environment=environment, directory=tmp_path, seconds=0.2)
    assert loaded.run(play, "-e", "asked=/bin/true", environment=environment, directory=tmp_path).returncode == 0
