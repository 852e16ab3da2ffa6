# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a SPIRE component, and its unit; systemd and the program are shell scripts here."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from ansible_collections.k8s4r.robot.plugins.modules import spire_service

# Notes what it is told, and which of the identity's files are there at each start.
SYSTEMCTL = """#!/bin/sh
echo "$1" >> {here}/told
case $1 in
show) printf 'UnitFileState=enabled\\nActiveState=active\\nNeedDaemonReload=no\\n';;
restart|start) cat {here}/data {here}/key > {here}/runs_with 2>/dev/null;;
esac
exit 0
"""
# Takes a configuration if its bundle is not "bad", and is well as long as it does not run with what is new.
PROGRAM = """#!/bin/sh
case $1 in
validate)
  bundle=$(sed -n 's/.*"bundle": "\\(.*\\)".*/\\1/p' "$3")
  cat "$bundle" >> {here}/validated
  ! grep -q bad "$bundle" || {{ echo "$bundle: bad"; exit 1; }};;
healthcheck) ! grep -q refused {here}/runs_with;;
esac
"""


@pytest.fixture
def service(call, monkeypatch, tmp_path):
    """Run the module with a bundle and files that change hands, and what goes with all of them."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    for name, text in {"systemctl": SYSTEMCTL, "journalctl": "#!/bin/sh\necho why", "program": PROGRAM}.items():
        (tmp_path / "bin" / name).write_text(text.format(here=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "started").write_text("")

    def run(bundle, level="INFO", check=False, **options):
        configuration = json.dumps({"level": level, "bundle": f"{tmp_path}/bundle"}, indent=1)
        files = [{"path": f"{tmp_path}/bundle", "content": bundle}, {"path": f"{tmp_path}/conf", "content": configuration}]
        fixed = {"unit": "x.service", "program": f"{tmp_path}/bin/program", "configuration": f"{tmp_path}/conf"}
        fixed |= {"started": f"{tmp_path}/started", "socket": "/s", "ready_seconds": 0, "failure": "It got no identity"}
        return call(spire_service.main, check=check, files=files, **fixed, **options)

    return run


def told(here):
    return [word for word in (here / "told").read_text().split() if word != "show"]


def test_what_is_new_is_validated_before_any_of_it_is_written(service, tmp_path):
    assert service("one")["written"] == [f"{tmp_path}/bundle", f"{tmp_path}/conf"]
    before = sorted((path.name, path.read_text()) for path in tmp_path.iterdir() if path.is_file() and path.name != "validated")
    refused = service("bad", level="WARN")
    assert refused["msg"].endswith(f"program refuses its configuration, which was not written: {tmp_path}/bundle: bad")
    assert before == sorted((path.name, path.read_text()) for path in tmp_path.iterdir() if path.is_file() and path.name != "validated")
    assert (tmp_path / "validated").read_text() == "onebad"


def test_what_has_not_changed_is_not_validated(service, tmp_path):
    service("one")
    assert service("two")["written"] == [f"{tmp_path}/bundle"]
    assert (tmp_path / "validated").read_text() == "one"
    assert (tmp_path / "bundle").read_text() == "two"


class Killed(BaseException):
    """The power is cut."""


@pytest.fixture
def renamed(tmp_path, service):
    """What the component has attested with, and what it is to have from now on; the options for that."""
    service("one")
    (tmp_path / "told").unlink()
    for name, text in {"key": "old key", "data": "old data", "key.next": "new key"}.items():
        (tmp_path / name).write_text(text)
    return {"exchange": [f"{tmp_path}/{name}" for name in ("key", "data", "more")], "anew": True}


def left(here):
    return {path.name: path.read_text() for path in here.iterdir() if path.name.split(".")[0] in ("key", "data", "more")}


def test_a_check_exchanges_nothing(service, renamed, tmp_path):
    before = left(tmp_path)
    assert service("one", check=True, **renamed)["unit"] == ["restarted"]
    assert left(tmp_path) == before


def test_what_is_new_takes_the_place_of_the_old_and_the_old_goes_when_it_works(service, renamed, tmp_path):
    assert service("one", **renamed)["unit"] == ["restarted"]
    assert told(tmp_path) == ["stop", "restart"]
    assert (tmp_path / "runs_with").read_text() == "new key"
    assert left(tmp_path) == {"key": "new key"}


def test_what_does_not_work_makes_way_for_the_old_again(service, renamed, tmp_path):
    (tmp_path / "key.next").write_text("refused")
    failed = service("one", **renamed)
    assert failed["msg"] == (
        "It got no identity. The last lines of its log: why\nx.service runs again with the key and the identity that it had before"
    )
    assert told(tmp_path) == ["stop", "restart", "stop", "start"]
    assert (tmp_path / "runs_with").read_text() == "old dataold key"
    assert left(tmp_path) == {"key": "old key", "data": "old data"}


@pytest.mark.parametrize("new", ["new key", "refused"])
def test_the_old_is_there_until_the_new_one_works_wherever_a_run_is_killed(service, renamed, tmp_path, monkeypatch, new):
    """And the next run comes to the same end. The new key is made anew by it, as long as the old identity has its place."""
    (tmp_path / "key.next").write_text(new)
    ended, number = False, 0
    while not ended:
        number += 1
        for name in left(tmp_path):
            (tmp_path / name).unlink()
        for name, text in {"key": "old key", "data": "old data", "key.next": new}.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "runs_with").unlink(missing_ok=True)
        with monkeypatch.context() as patched:
            ended = not killed(patched, number, lambda: service("one", **renamed))
        found = left(tmp_path)
        works = (tmp_path / "runs_with").exists() and (tmp_path / "runs_with").read_text() == "new key"
        assert works or {"old key", "old data"} <= set(found.values()), (number, found)
        assert "key" in found
        # Never the old key with nothing that tells whose it is: the next run would take it for its own.
        assert found["key"] != "old key" or "data" in found, (number, found)
        anew = found.get("data") == "old data"
        if anew and new == "new key":
            (tmp_path / "key.next").write_text(new)
        service("one", **{**renamed, "anew": anew and new == "new key"})
        assert left(tmp_path)["key"] == new or new == "refused"
        if new == "new key":
            assert left(tmp_path) == {"key": "new key"}, number
    assert number > 6


def killed(monkeypatch, number, run):
    """Whether a run is killed at the change of a name that has this number."""
    count = 0

    def counting(function):
        def counted(*arguments, **options):
            nonlocal count
            if any(pathlib.Path(str(each)).name.split(".")[0] in ("key", "data", "more") for each in arguments):
                count += 1
                if count == number:
                    raise Killed
            return function(*arguments, **options)

        return counted

    for name in ("rename", "link", "unlink"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    try:
        run()
    except Killed:
        return True
    return False
