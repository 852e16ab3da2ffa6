# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read: scrubbed, with a reason, and without a traceback."""

from __future__ import annotations

import errno
import json

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import answers, texts
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say.errors import CommandFailed, Refusal
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.state.scrub import Scrubber


@pytest.mark.parametrize("text", ['pa"ss$word', "line one\nline two", "käse-ß", "a\\b`c"])
def test_a_secret_is_hidden_in_every_form(text):
    scrub = Scrubber([text])
    escaped = "".join("\\" + char if char in '"\\`$' else char for char in text)
    for form in (text, json.dumps(text), json.dumps(text, ensure_ascii=False), f'K="{escaped}"', *text.splitlines()):
        shown = scrub({"errors": [f"before {form} after"]})["errors"][0]
        assert "********" in shown
        assert text.splitlines()[0] not in shown


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sesame \n", "'sesame'"),
        (" sesame", "x=sesame"),
        ("p/ss w?rd", "http://u:p%2Fss%20w%3Frd@h"),
        ("p/ss w?rd", "http://u:p%2fss%20w%3frd@h"),
        ("p/ss w?rd", "q=p%2Fss+w%3Frd"),
        ("p/ss w?rd", "http://u:p/ss%20w%3Frd@h"),
        ("k\u00e4se", "k%C3%A4se"),
        ("a\x1bb'c", repr("a\x1bb'c")),
        ("k\u00e4se", repr("k\u00e4se".encode())),
        ("tab\there", "ValueError: 'tab\\there'"),
    ],
)
def test_a_secret_is_hidden_as_programs_print_it(secret, shown):
    scrubbed = Scrubber([secret])(shown)
    assert "********" in scrubbed
    for part in ("sesame", "ss", "se", "there", "x1b"):
        assert part not in scrubbed


def test_what_is_too_short_to_be_a_secret_blots_out_nothing():
    text = "task 1 ended with exit status 11"
    assert Scrubber(["1", "11", "e", " "])(text) == text
    assert Scrubber(["***", "abc"])("abc ***") == "******** ********"


def test_the_longer_secret_first():
    assert Scrubber(["abc", "abcdef", ""])("x abcdef y") == "x ******** y"
    assert Scrubber([])(["text", 1, None]) == ["text", 1, None]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Refusal(["a", "b"]), "refused", "a"),
        (OSError(errno.ENOSPC, "No space", "/x"), "refused", "disk full: the file system at / has no space or no inodes left for /x"),
        (OSError(errno.EROFS, "Read-only", "/x"), "refused", "read-only: the file system at / cannot be changed: /x"),
        (OSError(errno.EACCES, "Permission denied", "/x"), "failed", "Permission denied (/x)"),
        (CommandFailed("userdel ended"), "failed", "userdel ended"),
        (KeyError("secret value"), "failed", "error in the engine (KeyError); please report it"),
    ],
)
def test_every_exception_is_an_answer(error, status, text):
    answer = answers.failed(error)
    assert (answer["status"], answer["errors"][0]) == (status, text)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ("", ""),
        ("a", "a"),
        ("aaa", "a"),
        ("ababab", "ab"),
        ("xabab", "xab"),
        ("aabaab", "aab"),
        ("{a}{b}", "{a}{b}"),
        ("abcabd", "abcabd"),
    ],
)
def test_what_a_program_says_at_each_start_is_shown_once(lines, shown):
    assert texts.once([*lines]) == [*shown]


def test_a_programs_line_cannot_act_on_the_operators_terminal():
    assert texts.harmless("\x1b]0;OWNED\x07ok\u202e\nnext") == "\ufffd]0;OWNED\ufffdok\ufffd\nnext"
    assert len(texts.harmless("x" * 100000)) == texts.LONGEST_LINE + 3
