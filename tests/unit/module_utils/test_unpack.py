# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking: every form, and archives that want out, or more than there is."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import pathlib
import stat
import tarfile
import zipfile

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch import tree, unpack
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.fetch.cache import Cache, Unfetched


def member(name, content=b"", **keys):
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for key, value in keys.items():
        setattr(made, key, value)
    return made, content


def tar(*members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def zipped(*members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return made.getvalue()


@pytest.fixture
def unpacked(tmp_path):
    """Unpacks an archive; the directory with what was in it. Nobody has to get there."""
    cache = Cache(str(tmp_path / "cache"))
    cache.make()

    def unpack_it(content, archive="tar", **keys):
        sha256 = hashlib.sha256(content).hexdigest()
        pathlib.Path(cache.path(sha256)).write_bytes(content)
        item = {"sha256": sha256, "archive": archive, "subdir": "", "name": f"a.{archive}", "mode": "any", "to": "/x/a", **keys}
        place = tmp_path / "unpacked" / sha256
        unpack.prepare(cache, [item], str(place), lambda _text: None)
        return place / "0"

    return unpack_it


def test_nothing_is_complete_before_it_is_on_the_disk(unpacked, monkeypatch):
    """Or a power cut would leave empty files that count as whole."""
    room, seen = unpacked(tar(member("a", b"x"))).parent.parent, []
    monkeypatch.setattr(unpack.os, "sync", lambda: seen.append([path.name for path in room.glob("*/complete")]))
    unpacked(tar(member("b", b"x")))
    assert seen == [["complete"]]
    assert len(list(room.glob("*/complete"))) == 2


FORMS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_files_with_their_modes_and_times(unpacked, form):
    files = (
        member("bin", type=tarfile.DIRTYPE, mode=0o555),
        member("bin/run", b"#!", mode=0o6755, mtime=1000000000),
        member("./etc", b"x"),
    )
    found = unpacked(FORMS[form](tar(*files, member("bin/again", type=tarfile.LNKTYPE, linkname="bin/run"))), f"tar.{form}")
    run = (found / "bin/run").stat()
    assert (stat.S_IMODE(run.st_mode), run.st_mtime, run.st_nlink) == (0o755, 1000000000, 2)
    assert stat.S_IMODE((found / "bin").stat().st_mode) == 0o755
    assert (found / "etc").read_bytes() == b"x"
    alone = unpacked(FORMS[form](b"data"), form, name=f"data.{form}")
    assert {path.name: path.read_bytes() for path in alone.iterdir()} == {"data": b"data"}


def test_zip(unpacked):
    found = unpacked(zipped(("a/run", b"1", 0o100755), ("b", b"2", 0o100644), ("l", b"a/run", 0o120777)), "zip")
    assert stat.S_IMODE((found / "a/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((found / "b").stat().st_mode) == 0o644
    assert os.readlink(found / "l") == "a/run"


def test_a_zip_without_dates(unpacked):
    content = bytearray(zipped(("a", b"1", 0o100644)))
    for at, offset in ((content.index(b"PK\x03\x04"), 10), (content.index(b"PK\x01\x02"), 12)):
        content[at + offset : at + offset + 4] = bytes(4)
    assert (unpacked(bytes(content), "zip") / "a").read_bytes() == b"1"


def test_names_are_bytes(unpacked):
    name = os.fsdecode(b"\xff\xfe")
    assert os.listdir(os.fsencode(unpacked(tar(member(name, b"1"))))) == [b"\xff\xfe"]


def test_a_directory_of_it_alone(unpacked):
    whole = tar(member("a/b/x", b"1"), member("a/y", b"2"), member("a/b/l", type=tarfile.SYMTYPE, linkname="x"))
    found = unpacked(whole, subdir="a/b")
    assert sorted(os.listdir(found)) == ["l", "x"]
    with pytest.raises(Unfetched, match="it has no a/c"):
        unpacked(whole + b"\0" * 512, subdir="a/c")


def test_a_single_file_is_called_what_the_job_calls_it(unpacked):
    assert os.listdir(unpacked(tar(member("old", b"1")), mode="file", to="/x/new")) == ["new"]
    with pytest.raises(Unfetched, match="exactly one file"):
        unpacked(tar(member("old", b"1"), member("other", b"1")), mode="file", to="/x/new")


def link(name, to):
    return member(name, type=tarfile.SYMTYPE, linkname=to)


HOSTILE = {
    "absolute": ([member("/etc/x", b"1")], "/etc/x: an absolute path"),
    "up": ([member("a/../../x", b"1")], "leads out of the archive"),
    "link to /": ([link("a", "/etc")], "a: a link to /etc"),
    "link up": ([link("a/b", "../../x")], "a/b: a link to ../../x"),
    "link through a link": ([link("a", "."), link("b", "a/..")], "b: a link to a/.."),
    "file through a link": ([link("a", "b"), member("a/x", b"1")], "a: goes through a link or a file"),
    "hard link out": ([member("a", type=tarfile.LNKTYPE, linkname="../../etc/shadow")], "leads out of the archive"),
    "hard link to /": ([member("a", type=tarfile.LNKTYPE, linkname="/etc/shadow")], "an absolute path"),
    "hard link through a link": ([link("d", "e"), member("a", type=tarfile.LNKTYPE, linkname="d/x")], "goes through a link"),
    "hard link to a link": ([link("d", "e"), member("a", type=tarfile.LNKTYPE, linkname="d")], "which is not a file"),
    "hard link to what comes later": ([member("a", type=tarfile.LNKTYPE, linkname="b"), member("b", b"1")], "not before it"),
    "deep": ([member("d/" * 101 + "x", b"1")], "more than 100 nested directories"),
    "device": ([member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=8)], "a: a device"),
    "fifo": ([member("a", type=tarfile.FIFOTYPE)], "a: a device, FIFO"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_gets_out(unpacked, tmp_path, case):
    members, why = HOSTILE[case]
    with pytest.raises(Unfetched) as refused:
        unpacked(tar(*members))
    assert why in str(refused.value)
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_nothing_gets_out_of_a_zip(unpacked, name):
    with pytest.raises(Unfetched, match=r"leads out|an absolute path"):
        unpacked(zipped((name, b"1", 0o100644)), "zip")
    with pytest.raises(Unfetched, match="a link to"):
        unpacked(zipped(("a", b"../x", 0o120777)), "zip")
    with pytest.raises(Unfetched, match="a device"):
        unpacked(zipped(("a", b"", 0o020666)), "zip")


def test_a_bomb_is_bounded(unpacked, monkeypatch):
    monkeypatch.setattr(tree, "ALWAYS", 1 << 20)
    bomb = gzip.compress(b"\0" * (8 << 20))
    for form, content in (
        ("gz", bomb),
        ("tar.gz", gzip.compress(tar(member("a", b"\0" * (8 << 20))))),
        ("zip", zipped(("a", b"\0" * (8 << 20), 0))),
    ):
        with pytest.raises(Unfetched, match="unpacks to more than 1"):
            unpacked(content, form)
    monkeypatch.setattr(tree, "MOST_FILES", 10)
    with pytest.raises(Unfetched, match="has more than 10 files"):
        unpacked(tar(*(member(str(number)) for number in range(11))))
    with pytest.raises(Unfetched, match="has more than 10 files"):
        unpacked(tar(member("/".join("abcdefghijk"))))


def test_a_header_of_many_bytes_does_not_fill_the_memory(unpacked, monkeypatch):
    monkeypatch.setattr(unpack, "MEMORY", 512 << 20)
    header, _content = member("a", type=tarfile.GNUTYPE_LONGNAME, size=4 << 30)
    with pytest.raises(Unfetched, match=r"512 MiB of memory"):
        unpacked(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)) + gzip.compress(b"a" * (1 << 20), 1) * 600, "tar.gz")


def test_a_full_disk_is_not_filled(unpacked, monkeypatch):
    monkeypatch.setattr(tree, "MARGIN", 1 << 60)
    with pytest.raises(Unfetched, match="does not fit on the disk"):
        unpacked(tar(member("a", b"\0" * (17 << 20))))


@pytest.mark.parametrize("form", ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip", "gz"])
def test_what_is_none_or_cut_off_is_said_to_be(unpacked, form):
    whole = tar(member("a", os.urandom(1 << 20)))
    packed = {"zip": zipped(("a", whole, 0)), "tar": whole, "gz": gzip.compress(whole)}
    content = packed.get(form) or FORMS[form.partition(".")[2]](whole)
    for broken in (b"<html>404</html>" * 100, content[: len(content) // 2]):
        with pytest.raises(Unfetched, match=f"it is not in {form} format, or part"):
            unpacked(broken, form)


def test_a_damaged_file_of_the_cache_is_not_used(unpacked, tmp_path):
    content = tar(member("a", b"1"))
    sha256 = hashlib.sha256(content).hexdigest()
    with contextlib.suppress(Unfetched):
        unpacked(content)
    cache = Cache(str(tmp_path / "cache"))
    assert cache.has(sha256)
    pathlib.Path(cache.path(sha256)).write_bytes(content[:-1] + b"x")
    assert not cache.has(sha256)
