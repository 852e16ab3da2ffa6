# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories of root's, and what a machine says of itself."""

from __future__ import annotations

import pathlib
import platform

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._provision import files
from ansible_collections.k8s4r.robot.plugins.modules import machine, spire_home


class Plain:
    """AnsibleModule, as far as it gives files their SELinux context: a machine without."""

    def set_default_selinux_context(self, _path, changed):
        return changed


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "agent.conf"

    def refuse(beside):
        assert pathlib.Path(beside[str(path)]).read_text() == "new"
        raise files.FileError("no")

    files.write(Plain(), [files.Wanted(str(path), "old", "root", 0o640)])
    with pytest.raises(files.FileError):
        files.write(Plain(), [files.Wanted(str(path), "new", "root", 0o640)], refuse)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert files.owned(str(path), "root", 0o640)
    assert not files.owned(str(path), "root", 0o644)


def test_directories_are_made_once(call, tmp_path):
    inner = tmp_path / "spire" / "agent"
    wanted = [{"path": str(inner.parent)}, {"path": str(inner), "group": "daemon", "mode": "0750"}]
    assert call(spire_home.main, check=True, user="root", home="/", directories=wanted)["made"] == [str(inner.parent), str(inner)]
    assert not inner.parent.exists()
    assert call(spire_home.main, user="root", home="/", directories=wanted)["made"] == [str(inner.parent), str(inner)]
    assert not call(spire_home.main, user="root", home="/", directories=wanted)["changed"]
    assert files.owned(str(inner), "daemon", 0o750)


def test_a_mode_that_is_none_is_told(call, tmp_path):
    told = call(spire_home.main, user="root", home="/", directories=[{"path": str(tmp_path), "mode": "rwx"}])
    assert told["msg"].endswith("mode is 'rwx', but must be three or four octal digits in quotes, such as \"0644\"")


def test_a_machine_says_what_it_is(call):
    found = call(machine.main)
    assert found["architecture"] == platform.machine()
    assert found["python"] == platform.python_version()
