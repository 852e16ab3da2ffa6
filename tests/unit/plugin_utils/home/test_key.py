# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's key: private, one for all, and what hangs on it."""

from __future__ import annotations

import concurrent.futures
import marshal
import os
import stat

import pytest
from ansible.template import trust_as_template

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home import key


def test_the_key_is_made_once_and_private(tmp_path):
    made = key.controller_key(tmp_path / "k8s4r")
    assert len(made.secret) == 32
    assert stat.S_IMODE((tmp_path / "k8s4r" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "k8s4r").stat().st_mode) == 0o700
    assert key.controller_key(tmp_path / "k8s4r") == made


def test_many_first_runs_agree_on_one_key_and_leave_nothing_else(tmp_path):
    with concurrent.futures.ProcessPoolExecutor(8) as pool:
        assert len(set(pool.map(key.controller_key, [tmp_path] * 32))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_that_others_can_read_is_refused(tmp_path):
    key.controller_key(tmp_path)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(key.KeyProblem, match="other users may read"):
        key.controller_key(tmp_path)


def test_a_damaged_key_is_refused(tmp_path):
    (tmp_path / "key").touch(0o600)
    with pytest.raises(key.KeyProblem, match="32 bytes"):
        key.controller_key(tmp_path)


def test_a_place_that_cannot_hold_a_key_is_named_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(key.KeyProblem, match="K8S4R_HOME"):
        key.controller_key(tmp_path / "file" / "k8s4r")


@pytest.mark.parametrize(("make", "said"), [(os.mkfifo, "is not a file"), (os.mkdir, "Is a directory")])
def test_what_is_no_file_is_no_key_and_keeps_nobody_waiting(tmp_path, make, said):
    make(tmp_path / "key", 0o700)
    with pytest.raises(key.KeyProblem, match=f"{said}.*K8S4R_HOME"):
        key.controller_key(tmp_path)


def test_a_user_without_a_home_is_told_the_way_out(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("K8S4R_HOME", "~nobody-of-this-name/k8s4r")
    with pytest.raises(key.KeyProblem, match="set K8S4R_HOME"):
        key.home()


def test_home_is_the_users_choice_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("K8S4R_HOME", raising=False)
    assert key.home() == tmp_path / "xdg" / "k8s4r"
    monkeypatch.setenv("K8S4R_HOME", str(tmp_path / "own"))
    assert key.home() == tmp_path / "own"


def test_a_digest_depends_on_key_and_value_and_not_on_which_values_are_one_object():
    first = key.Key(b"a" * 32).digest({"x": 1, "y": "\udc80ü"})
    again = "".join(["\udc80", "ü"])
    assert first == key.Key(b"a" * 32).digest({"x": 1, "y": again})
    assert key.Key(b"a" * 32).digest([again, again]) == key.Key(b"a" * 32).digest(["\udc80ü", "".join(["\udc80", "ü"])])
    assert first != key.Key(b"b" * 32).digest({"x": 1, "y": "\udc80ü"})
    assert first != key.Key(b"a" * 32).digest({"x": 2, "y": "\udc80ü"})


def test_a_sealed_value_comes_back_and_shows_nothing():
    value = {"text": "canary " * 100}
    token = key.Key(b"a" * 32).seal(value)
    assert "canary" not in token
    assert len(token) < 400
    assert key.Key(b"a" * 32).unseal(token) == value


@pytest.mark.parametrize("token", ["", "ü", "gAAAA", None])
def test_a_foreign_seal_is_an_error_that_says_so(token):
    foreign = key.Key(b"b" * 32).seal("x") if token is None else token
    with pytest.raises(key.KeyProblem, match="another controller key"):
        key.Key(b"a" * 32).unseal(foreign)


def test_texts_of_a_class_of_ansibles_are_sealed_as_plain_ones(tmp_path):
    sealing = key.controller_key(tmp_path)
    name = trust_as_template("hello")
    with pytest.raises(ValueError, match="unmarshallable"):
        marshal.dumps(name)
    (opened,) = sealing.unseal(sealing.seal([name]))
    assert opened == "hello"
    assert marshal.dumps(opened)
