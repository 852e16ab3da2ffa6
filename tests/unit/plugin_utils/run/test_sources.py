# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files as texts: paths as users write them, and every file's problem at once."""

from __future__ import annotations

import os

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.errors import JobErrors
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import sources


def decrypt(path: str) -> str:
    if "inner" in path:
        return "name: \udcff"
    raise sources.Unreadable(f"{path} cannot be decrypted")


def render(text: str, path: str) -> str:
    assert path.endswith(".j2")
    return text.upper()


READERS = sources.Readers(decrypt=decrypt, render=render)


def read(directory, *paths):
    return sources.read(paths, READERS, directory)


def test_a_path_counts_from_the_given_directory_and_keeps_its_name(tmp_path):
    (tmp_path / "web.yml").write_text("name: web")
    (source,) = read(tmp_path, "web.yml")
    assert (source.name, source.text, source.rendered) == ("web.yml", b"name: web", False)
    assert read(tmp_path / "elsewhere", str(tmp_path / "web.yml"))[0].name == str(tmp_path / "web.yml")


def test_a_directory_gives_its_job_files_by_name(tmp_path):
    for name in ("b.yml", "a.yaml.j2", "c.json", ".hidden.yml", "notes.txt", "x.j2"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    assert [source.name for source in read(tmp_path.parent, tmp_path.name)] == [
        f"{tmp_path.name}/{name}" for name in ("a.yaml.j2", "b.yml", "c.json")
    ]


def test_only_templates_are_rendered(tmp_path):
    (tmp_path / "web.yml.j2").write_text("{{ x }}", encoding="utf-8-sig")
    (tmp_path / "web.yml").write_text("{{ x }}")
    rendered, plain = read(tmp_path, "web.yml.j2", "web.yml")
    assert (rendered.text, rendered.rendered) == ("{{ X }}", True)
    assert (plain.text, plain.rendered) == (b"{{ x }}", False)


def test_every_file_that_cannot_be_read_is_named_at_once(tmp_path):
    (tmp_path / "vaulted.yml").write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n00")
    (tmp_path / "half.yml").write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n\xff")
    (tmp_path / "inner.yml.j2").write_bytes(b"$ANSIBLE_VAULT;1.1;AES256\n00")
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yml.j2").write_bytes(b"\xe9")
    with pytest.raises(JobErrors) as raised:
        read(
            tmp_path,
            "missing.yml",
            "vaulted.yml",
            "empty",
            "latin.yml.j2",
            "",
            "nul\0.yml",
            "x" * 300,
            "\ud800",
            "half.yml",
            "inner.yml.j2",
        )
    texts = [str(error) for error in raised.value.errors]
    assert len(texts) == 10
    assert texts[0].startswith("missing.yml: No such file or directory (looked for in ")
    assert "cannot be decrypted" in texts[1]
    assert "has no job file (*.yml, *.yaml, *.json" in texts[2]
    assert "UTF-8" in texts[3]
    assert "not a path" in texts[4]
    assert "not a path" in texts[5]
    assert "name too long" in texts[6]
    assert texts[7].endswith("this is not a path; job= takes a file or a directory; separate several with commas")
    assert texts[8] == (
        "half.yml: cannot be decrypted (it starts like a vaulted file but is not ASCII); encrypt it again, or remove the first line"
    )
    assert texts[9] == "inner.yml.j2: is not UTF-8 once it is decrypted; save it as UTF-8 and encrypt it again"


def refused(directory, *paths):
    with pytest.raises(JobErrors) as raised:
        read(directory, *paths)
    return str(raised.value).splitlines()


def test_what_is_not_a_regular_file_is_not_read(tmp_path):
    """A pipe would be waited for, /dev/zero has no end."""
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "zero.yml").symlink_to("/dev/zero")
    (tmp_path / "large.yml").write_bytes(b" " * (sources.MAX_BYTES + 1))
    assert refused(tmp_path, ".", "/dev/null") == [
        "large.yml: is longer than 8 MiB; split it into several job files",
        f"pipe.yml: is not a regular file; {sources.WANTED}",
        f"zero.yml: is not a regular file; {sources.WANTED}",
        f"/dev/null: is not a regular file; {sources.WANTED}",
    ]


def test_a_file_that_is_given_twice_is_named(tmp_path):
    (tmp_path / "a.yml").write_text("name: a")
    (tmp_path / "b.yml").symlink_to("a.yml")
    assert refused(tmp_path, "a.yml", "a.yml") == ["a.yml: is given twice; name it once"]
    assert refused(tmp_path, "a.yml", "b.yml") == ["b.yml: is given twice, also as a.yml; name it once"]
