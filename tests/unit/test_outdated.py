# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make outdated` says of two sets of versions."""

from __future__ import annotations

from tests import outdated


def test_table_names_what_is_newer_or_only_comes_along_now():
    rows = outdated.table({"old": "1.0", "same": "2", "gone": "3"}, {"old": "1.1", "same": "2", "new": "0.1"})
    assert [row.split() for row in rows] == [["package", "locked", "newest"], ["new", "-", "0.1"], ["old", "1.0", "1.1"]]


def test_table_is_empty_where_the_lock_is_the_newest():
    assert outdated.table({"same": "2", "unused": "1"}, {"same": "2"}) == []


def test_lock_files_are_read_whole():
    assert {"ansible-core", "pyyaml", "mitogen", "pywin32"} <= outdated.locked(*outdated.LISTS).keys()
    assert {"ansible-core", "pyyaml"} <= outdated.locked(outdated.CONTROLLER).keys()


def test_every_lock_file_is_looked_at():
    assert {path.stem for path in outdated.TESTS.glob("requirements*.in")} == {*outdated.LISTS, outdated.CONTROLLER}
