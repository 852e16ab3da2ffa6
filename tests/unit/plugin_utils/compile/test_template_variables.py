# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of rendered files as variables: what hashicorp/go-envparse, and so Nomad, makes of them."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.lines import Unread, parsed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("# no\n\n  A = 1  \n", {"A": "1"}),
        ("export A=1\nexport=2", {"A": "1", "export": "2"}),
        ("A=", {"A": ""}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=b # c\nB=b#c", {"A": "b", "B": "b"}),
        ("A='b # c' # d", {"A": "b # c"}),
        ('A="b\\n\\"c\\u00e9\\ud83d\\ude00\\/" x', {"A": 'b\n"c\u00e9\U0001f600/ x'}),
        ("A='b'\"c\"d", {"A": "bcd"}),
        ("A=b\\nc", {"A": "b\\nc"}),
        ("A='\\n'", {"A": "\\n"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=a b  c # d", {"A": "a b  c"}),
        ("A=\u00e9 \u00e9", {"A": "\u00e9 \u00e9"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ],
)
def test_lines_become_variables(text, found):
    assert parsed(text) == found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\ncanary", 2),
        ("=canary", 1),
        ("1A=canary", 1),
        ("A-B=canary", 1),
        ("A.B=canary", 1),
        ("\nA='canary", 2),
        ('A="canary', 1),
        ('A="canary\\q"', 1),
        ('A="\\u12"', 1),
        ('A="\\ud83dcanary"', 1),
        ("A=can\x01ary", 1),
    ],
)
def test_what_is_none_is_said_without_its_text(text, line):
    with pytest.raises(Unread, match=f"^line {line} ") as raised:
        parsed(text)
    assert "canary" not in str(raised.value)
