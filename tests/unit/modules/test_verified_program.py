# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program is installed when its checksum is right, and not at all when it is not."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile

import pytest

from ansible_collections.k8s4r.robot.plugins.modules.verified_program import main

PROGRAM = b"#!/bin/sh\necho one\n"


@pytest.fixture
def releases(tmp_path):
    """A place that serves a release: an archive and its checksum file."""
    directory = tmp_path / "releases"
    directory.mkdir()
    archive = directory / "tool-1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("tool-1/bin/tool")
        info.size = len(PROGRAM)
        tar.addfile(info, io.BytesIO(PROGRAM))
    (directory / "sums.txt").write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  tool-1.tar.gz\n")
    return directory


@pytest.fixture
def wanted(tmp_path, releases):
    """The options of a good installation."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    return {
        "path": str(bin_directory / "tool"),
        "url": (releases / "tool-1.tar.gz").as_uri(),
        "sha256_url": (releases / "sums.txt").as_uri(),
        "member": "tool-1/bin/tool",
    }


def leftovers(tmp_path):
    return sorted(path.name for path in (tmp_path / "bin").iterdir())


def test_installs_once(call, wanted, tmp_path):
    first = call(main, **wanted)
    assert first["changed"], first
    program = tmp_path / "bin" / "tool"
    assert program.read_bytes() == PROGRAM
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    second = call(main, **wanted)
    assert (second["changed"], second["sha256"]) == (False, first["sha256"])
    assert leftovers(tmp_path) == [".tool.json", "tool"]


def test_an_installed_program_needs_no_network(call, wanted, releases):
    call(main, **wanted)
    (releases / "tool-1.tar.gz").unlink()
    (releases / "sums.txt").unlink()
    assert not call(main, **wanted)["changed"]


def test_a_damaged_program_is_installed_anew(call, wanted, tmp_path):
    call(main, **wanted)
    program = tmp_path / "bin" / "tool"
    program.write_bytes(b"something else")
    program.chmod(0o600)
    assert call(main, **wanted)["changed"]
    assert program.read_bytes() == PROGRAM
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


def test_a_directory_in_its_place_is_told_and_kept(call, wanted, tmp_path):
    (tmp_path / "bin" / "tool").mkdir()
    result = call(main, **wanted)
    assert "was not installed" in result["msg"]
    assert "exception" not in result
    assert leftovers(tmp_path) == ["tool"]


def test_a_pin_that_is_the_installed_one_changes_nothing(call, wanted):
    digest = call(main, **wanted)["sha256"]
    assert not call(main, **{**wanted, "sha256": digest.upper()})["changed"]


def test_a_pin_of_the_former_release_is_no_pin_of_another(call, wanted, releases, tmp_path):
    digest = call(main, **wanted)["sha256"]
    (releases / "tool-2.tar.gz").write_bytes(b"another release")
    another = {**wanted, "url": (releases / "tool-2.tar.gz").as_uri(), "sha256": digest}
    assert call(main, check=True, **another)["changed"]
    result = call(main, **another)
    assert "tool-2.tar.gz has SHA-256" in result["msg"]
    assert f"but {digest} is pinned; nothing was installed" in result["msg"]
    assert (tmp_path / "bin" / "tool").read_bytes() == PROGRAM


def test_a_mirror_needs_no_other_pin(call, wanted):
    digest = call(main, **wanted)["sha256"]
    assert not call(main, **{**wanted, "url": "http://127.0.0.1:9/tool-1.tar.gz", "sha256": digest})["changed"]


def test_what_a_mirror_publishes_and_is_there_is_not_downloaded_again(call, wanted, tmp_path):
    first = call(main, **wanted)
    before = (tmp_path / "bin" / "tool").stat().st_ino
    mirror = {**wanted, "url": "http://127.0.0.1:9/tool-1.tar.gz"}
    moved = call(main, **mirror)
    assert (moved["changed"], moved["sha256"]) == (False, first["sha256"])
    assert (tmp_path / "bin" / "tool").stat().st_ino == before
    # From now on without the checksum file, too.
    assert not call(main, **{**mirror, "sha256_url": "http://127.0.0.1:9/sums.txt"})["changed"]


def test_a_link_to_the_same_bytes_makes_way(call, wanted, tmp_path):
    call(main, **wanted)
    program = tmp_path / "bin" / "tool"
    program.rename(tmp_path / "machines-own")
    program.symlink_to(tmp_path / "machines-own")
    assert call(main, **wanted)["changed"]
    assert not program.is_symlink()
    assert program.read_bytes() == PROGRAM


@pytest.fixture
def link(releases):
    """A second archive, in which a name leads to a file."""
    archive = releases / "link-1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "tool"
        tar.addfile(info)
    (releases / "sums.txt").write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  link-1.tar.gz\n")
    return archive.as_uri()


def test_what_is_no_file_in_the_archive_is_not_installed(call, wanted, link, tmp_path):
    result = call(main, **{**wanted, "url": link, "member": "link"})
    assert "link in the archive is not a file" in result["msg"]
    assert leftovers(tmp_path) == []


def test_a_file_that_is_the_program_itself(call, wanted, releases, tmp_path):
    (releases / "tool").write_bytes(PROGRAM)
    digest = hashlib.sha256(PROGRAM).hexdigest()
    options = {"path": wanted["path"], "url": (releases / "tool").as_uri(), "sha256": digest}
    assert call(main, **options)["sha256"] == digest
    assert (tmp_path / "bin" / "tool").read_bytes() == PROGRAM
    (releases / "tool").unlink()
    assert not call(main, **options)["changed"]
    assert leftovers(tmp_path) == [".tool.json", "tool"]


def test_check_mode_writes_nothing(call, wanted, tmp_path):
    assert call(main, check=True, **wanted)["changed"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "checksum mismatch: "),
        ({"sha256": "0" * 63}, "must be 64 hexadecimal digits"),
        ({"member": "tool-1/bin/other"}, "the archive does not contain tool-1/bin/other"),
        ({"member": "tool-1/bin"}, "the archive does not contain tool-1/bin"),
        ({"url": "file:///nowhere/tool-1.tar.gz"}, "cannot be downloaded"),
        ({"url": "http://127.0.0.1:9/tool-1.tar.gz"}, "Connection refused"),
        ({"sha256_url": "file:///nowhere/sums.txt"}, "/nowhere/sums.txt cannot be downloaded"),
    ],
)
def test_says_what_is_wrong_and_installs_nothing(call, wanted, tmp_path, change, message):
    result = call(main, **{**wanted, **change})
    assert result["failed"]
    assert message in result["msg"]
    assert "Traceback" not in result["msg"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("change", [{"url": "file:///nowhere/tool-1.tar.gz"}, {"sha256_url": "http://127.0.0.1:9/sums.txt"}])
def test_a_download_that_fails_says_what_to_do_instead(call, wanted, change):
    assert call(main, **{**wanted, **change, "otherwise": "set tool_mirror_url"})["msg"].endswith("; set tool_mirror_url")


def test_a_mismatch_leaves_the_program_that_was_there(call, wanted, tmp_path):
    call(main, **wanted)
    result = call(main, **{**wanted, "sha256": "1" * 64})
    assert "checksum mismatch" in result["msg"]
    assert "is pinned; nothing was installed" in result["msg"]
    assert (tmp_path / "bin" / "tool").read_bytes() == PROGRAM


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"#!/bin/sh\necho $*: no libc >&2; exit 3\n", "tool --version ends with status 3: --version: no libc"),
        (b"#!/bin/sh\necho on stdout; exit 3\n", "tool --version ends with status 3: on stdout"),
        (b"#!/nowhere/loader\n", "the loader that it needs is missing"),
        (b"\x7fELF of another machine", "Exec format error"),
    ],
)
def test_a_program_that_does_not_run_replaces_none(call, wanted, tmp_path, program, message):
    call(main, **wanted)
    file = tmp_path / "new"
    file.write_bytes(program)
    options = {"path": wanted["path"], "src": str(file), "sha256": hashlib.sha256(program).hexdigest(), "trial": ["--version"]}
    result = call(main, **options)
    assert "tool was not installed: it does not run on this machine: " in result["msg"]
    assert message in result["msg"]
    assert result["msg"].endswith("; nothing was replaced")
    assert (tmp_path / "bin" / "tool").read_bytes() == PROGRAM
    assert leftovers(tmp_path) == [".tool.json", "tool"]
    # Nothing is tried, because nothing is installed.
    assert call(main, check=True, **options)["changed"]


@pytest.mark.parametrize("source", ["url", "src"])
def test_a_program_that_runs_is_installed(call, wanted, releases, tmp_path, source):
    program = f'#!/bin/sh\n[ "$*" = "a b" ] && touch {tmp_path}/tried\n'.encode()
    (releases / "tool").write_bytes(program)
    where = {"url": (releases / "tool").as_uri()} if source == "url" else {"src": str(releases / "tool")}
    options = {"path": wanted["path"], "sha256": hashlib.sha256(program).hexdigest(), "trial": ["a", "b"], **where}
    assert call(main, **options)["changed"]
    assert (tmp_path / "bin" / "tool").read_bytes() == program
    (tmp_path / "tried").unlink()
    # Once, when it is installed.
    assert not call(main, **options)["changed"]
    assert not (tmp_path / "tried").exists()


def test_a_checksum_file_that_does_not_name_the_file(call, wanted, releases):
    (releases / "sums.txt").write_text("0" * 64 + "  another.tar.gz\n")
    assert "does not name tool-1.tar.gz" in call(main, **wanted)["msg"]


def test_from_a_file_that_is_already_there(call, wanted, releases, tmp_path):
    digest = hashlib.sha256((releases / "tool-1.tar.gz").read_bytes()).hexdigest()
    options = {"path": wanted["path"], "src": str(releases / "tool-1.tar.gz"), "sha256": digest, "member": wanted["member"]}
    assert call(main, **options)["changed"]
    (releases / "tool-1.tar.gz").unlink()
    assert not call(main, **options)["changed"]
    assert (tmp_path / "bin" / "tool").read_bytes() == PROGRAM
