# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of large files of the controller's."""

from __future__ import annotations

import hashlib
import json
import os
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.home import digests


def test_a_file_is_read_once_as_long_as_nobody_writes_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "SETTLED", 0)
    found, path = digests.Digests(tmp_path / "home"), tmp_path / "image.tar"
    path.write_bytes(b"one")
    time.sleep(0.01)
    assert found.of(path) == hashlib.sha256(b"one").hexdigest()
    (kept,) = (tmp_path / "home" / "digests").iterdir()
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "sha256": "kept"}))
    assert found.of(path) == "kept"
    os.utime(path)
    assert found.of(path) == hashlib.sha256(b"one").hexdigest()


def test_what_was_written_just_now_is_read_again(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(b"one")
    digests.Digests(tmp_path / "home").of(path)
    assert not (tmp_path / "home").exists()


def test_what_is_no_file_is_said_to_be_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is no file"):
        digests.Digests(tmp_path / "home").of(tmp_path / "pipe")
