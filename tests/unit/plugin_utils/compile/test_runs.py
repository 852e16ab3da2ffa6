# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""run-once: how long a run of a schedule goes on, and what is stopped after it."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import helpers

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Answers of systemctl show, one after the other; the last one for ever.
SYSTEMCTL = """#!/bin/sh
case "$1 $2" in
    "--quiet is-active") exit 3 ;;
    "show "*) head -n 1 {home}/states | tr ' ' '\\n'; [ $(wc -l <{home}/states) = 1 ] || sed -i 1d {home}/states ;;
    *) echo "$@" >>{home}/calls ;;
esac
"""


@pytest.fixture
def run(tmp_path: pathlib.Path):
    """A run of the units a and b, with c beside them; what systemd was asked to do, and the status."""
    helper = tmp_path / "run-once"
    text = helpers.RUN_ONCE.text.replace(helpers.PLACES["@RESTARTS@"], str(tmp_path / "restarts"))
    helper.write_text(text.replace(helpers.PLACES["@STAMPS@"], str(tmp_path)))
    (tmp_path / "systemctl").write_text(SYSTEMCTL.format(home=tmp_path))
    (tmp_path / "systemctl").chmod(0o755)
    (tmp_path / "sleep").write_text(f"#!/bin/sh\necho pause >>{tmp_path}/calls\n")
    (tmp_path / "sleep").chmod(0o755)
    (tmp_path / "restarts").mkdir()
    (tmp_path / "restarts" / "a.service").write_text("1 3")

    def once(*states: str) -> tuple[list[str], int]:
        (tmp_path / "states").write_text("".join(f"{state}\n" for state in states))
        argv = ["/bin/sh", str(helper), "g.timer", "a.service", "b.service", "--", "c.service"]
        done = subprocess.run(argv, env={"PATH": f"{tmp_path}:{PATH}"}, capture_output=True, text=True, timeout=20, check=False)
        assert done.stderr == ""
        assert not list((tmp_path / "restarts").iterdir())
        # It counts from now on, and not from when it began this run.
        assert (tmp_path / "stamp-g.timer").exists()
        return (tmp_path / "calls").read_text().splitlines(), done.returncode

    return once


END = ["stop c.service", "--job-mode=fail try-restart g.timer"]
BEGIN = ["reset-failed a.service b.service -- c.service", "--no-block start a.service b.service -- c.service"]


@pytest.mark.parametrize(
    "going",
    ["ActiveState=inactive Job=17", "Job=0 ActiveState=activating", "ActiveState=active", "ActiveState=deactivating Job="],
)
def test_a_run_goes_on_until_all_tasks_are_down(run, going):
    ended = "ActiveState=inactive Job=0"
    assert run(going, ended, going, ended) == ([*BEGIN, "pause", "pause", *END], 0)


def test_a_run_with_a_unit_that_failed_has_failed(run):
    assert run("ActiveState=failed") == ([*BEGIN, *END], 1)


def test_what_has_become_a_hook_and_has_run_is_not_waited_for(run):
    assert run("ActiveState=active SubState=exited Job=0") == ([*BEGIN, *END], 0)
