# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of the demo, run as a person runs them: the collection from its tarball, ``ansible-playbook`` on a command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tests.robots.host import CHECKOUT

BUILD = CHECKOUT / "build" / "demo"
COLLECTIONS = BUILD / "collections"
# What the controller remembers of the demo's robots is not to meet what it knows of real ones.
HOME = BUILD / "home"


class DemoError(Exception):
    """A step that failed; the message is for the person who looks on."""


class Progress:
    """Lines with the time since the start; on a terminal, what is going on right now below them."""

    def __init__(self) -> None:
        """The clock starts."""
        self.started = time.monotonic()
        self.terminal = sys.stdout.isatty()

    def step(self, text: str) -> None:
        """The next step of the demo."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        self._write(f"[{minutes:2}:{seconds:02}] {text}\n")

    def detail(self, text: str) -> None:
        """Something that the step is done with."""
        self._write(f"        {text}\n")

    def now(self, text: str) -> None:
        """What is going on; the next line takes its place."""
        if self.terminal:
            self._write(f"        {text[:100]}")

    def _write(self, text: str) -> None:
        print(("\r\033[K" if self.terminal else "") + text, end="", flush=True)


class Result(t.NamedTuple):
    """What a playbook did: seconds, and what each host counted (ok, changed, unreachable, failures, ...)."""

    seconds: float
    hosts: dict[str, dict[str, int]]

    @property
    def changed(self) -> int:
        """Tasks that changed something, over all hosts."""
        return sum(counts["changed"] for counts in self.hosts.values())


def program(name: str) -> str:
    """A program of Ansible's, from the environment that this Python is of."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise DemoError(f"{name} is not installed here; `make demo` installs what it needs")
    return found


def install_collection() -> None:
    """Build the tarball and install it, as on anybody's machine; nothing of it is taken from the checkout afterwards."""
    shutil.rmtree(COLLECTIONS, ignore_errors=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    for former in BUILD.glob("k8s4r-robot-*.tar.gz"):
        former.unlink()
    _quiet(program("ansible-galaxy"), "collection", "build", "--output-path", str(BUILD), str(CHECKOUT))
    tarball = next(BUILD.glob("k8s4r-robot-*.tar.gz"))
    _quiet(program("ansible-galaxy"), "collection", "install", "--offline", "--force", "--collections-path", str(COLLECTIONS), str(tarball))


def _quiet(*command: str) -> None:
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"{shlex.join(command)}\n{(done.stderr or done.stdout).strip()[-2000:]}")


def playbook_command(inventory: Path, playbook: str, *arguments: str) -> list[str]:
    """The command line, relative to the checkout, as it can be typed."""
    vault = ("--vault-password-file", "examples/web-service/vault-password")
    return ["ansible-playbook", playbook, "-i", str(inventory.relative_to(CHECKOUT)), *vault, *arguments]


def run_playbook(progress: Progress, name: str, command: list[str]) -> Result:
    """Run it with its output in build/demo/<name>.log, of which the end is shown when it fails."""
    log = BUILD / f"{name}.log"
    reader, writer = os.pipe()
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "K8S4R_HOME": str(HOME),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).resolve().parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "demo_events",
        "ANSIBLE_NOCOLOR": "1",
        "DEMO_EVENTS": str(writer),
    }
    hosts: dict[str, dict[str, int]] = {}
    play = ""
    started = time.monotonic()
    with log.open("w") as output:
        running = subprocess.Popen(
            [program(command[0]), *command[1:]], cwd=CHECKOUT, env=environment, pass_fds=[writer], stdout=output, stderr=output
        )
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as events:
            for line in events:
                event = json.loads(line)
                if "play" in event:
                    play = event["play"]
                elif "task" in event:
                    if play:
                        progress.detail(play)
                    # A play that nobody is in has no task, and is not worth a line.
                    play = ""
                    progress.now(f"  {event['task']}")
                else:
                    hosts = event["stats"]
        status = running.wait()
    if status:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise DemoError(f"{shlex.join(command)}\n{end}\n\nexit status {status}; all of its output is in {log.relative_to(CHECKOUT)}")
    return Result(time.monotonic() - started, hosts)
