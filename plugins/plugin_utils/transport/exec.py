# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round trip to the engine on a robot: a JSON request on standard input, a JSON answer after a marker.

No part of a request is ever in argv or on disk. The engine is kept on the robot. Where it is missing, it is sent ahead of
the request and kept, or in check mode run from memory, because check mode leaves nothing behind.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from ...module_utils._engine.plan import MARKER, MISSING
from . import answers, packing
from .bootstrap import NO_PYTHON, NO_SYSTEMD, NOT_KEPT, NOT_ROOT, OLD_PYTHON, REPLACED, ROOM

# What sending the engine once more would not change.
HOPELESS = (NO_PYTHON, OLD_PYTHON, NOT_ROOT, NO_SYSTEMD)
# Python 2, and the first of 3, do not know the option -I, nor -X, and say so in these words.
OLD_OPTION = re.compile(r"^Unknown option: -", re.MULTILINE)
INTERPRETERS = ("python3", "/usr/bin/python3", "/usr/local/bin/python3", "/usr/libexec/platform-python")

LOOKED_FOR = ", ".join(INTERPRETERS)

# Reads the bootstrap by its length, so that what follows it stays in the same buffer for whoever reads on.
_READ = 'import sys; i = getattr(sys.stdin, "buffer", sys.stdin); exec(i.read(int(i.readline())))'


class Outcome(t.NamedTuple):
    """A command's exit status and output."""

    status: int
    stdout: str
    stderr: str


class RobotProblem(Exception):
    """The robot gave no usable answer; the text says what to do and shows nothing of the request."""


Execute = t.Callable[[str, bytes], Outcome]


class Caller(t.NamedTuple):
    """How this robot is called.

    `execute` runs a shell command with standard input (the connection plugin's low-level exec). `interpreter` is the
    robot's Python where the inventory names one. `environment` is a shell prefix of assignments.
    """

    execute: Execute
    interpreter: str | None = None
    environment: str = ""

    def call(self, request: t.Mapping[str, t.Any], check: bool = False, part: bytes = b"") -> dict[str, t.Any]:
        """The engine's answer to a request, with a part of a file behind it. Raises `RobotProblem`.

        The engine is sent along where the robot lacks this version. A kept engine that gives no answer may be damaged: it is sent once
        more, and the robot replaces what differs.
        """
        engine = packing.engine()
        body = json.dumps(request, separators=(",", ":")).encode("ascii") + (b"\n" + part if part else b"")
        outcome = self.execute(self._kept(engine.digest, check), body)
        answer = _answer(outcome)
        if answer is None and outcome.status not in HOPELESS:
            archive, front = engine.archive(), packing.bootstrap()
            header = json.dumps({"digest": engine.digest, "size": len(archive), "keep": not check}).encode("ascii")
            outcome = self.execute(self._sent(), b"%d\n%b%b\n%b%b" % (len(front), front, header, archive, body))
            answer = _answer(outcome)
        if answer is None:
            raise RobotProblem(self._reason(outcome))
        try:
            known = answers.checked(request["op"], answer)
        except answers.Strange as strange:
            raise RobotProblem(str(strange)) from None
        replaced = [answers.harmless(line) for line in outcome.stderr.splitlines() if line.startswith(REPLACED)]
        return {**known, "notices": [*known.get("notices", ()), *replaced]} if replaced else known

    def _reason(self, outcome: Outcome) -> str:
        """Why there is no answer, and what to do."""
        last = next((line.strip() for line in reversed(outcome.stderr.splitlines()) if line.strip()), "")
        last = answers.harmless(last[:300])
        set_it = f"set ansible_python_interpreter (it is {self.interpreter})" if self.interpreter else "set ansible_python_interpreter"
        if outcome.status == NO_PYTHON:
            what = f"there is no {self.interpreter} on the robot" if self.interpreter else f"no Python 3 on the robot ({LOOKED_FOR})"
            return f"{what}; install python3 (3.8 or later) or {set_it}"
        if outcome.status == OLD_PYTHON or OLD_OPTION.search(outcome.stderr):
            version = last if outcome.status == OLD_PYTHON else self._version()
            return f"the robot's Python is too old: {version}; 3.8 or later is needed: install it, or {set_it} if the robot has one"
        known = {
            NOT_ROOT: "root is needed on the robot; use `become: true` or log in as root",
            NO_SYSTEMD: "systemd does not run on this machine; a robot is a Linux machine that systemd (245 or later) started",
            NOT_KEPT: f"the engine could not be written to {ROOM}: {last}",
        }
        nothing = f"the robot gave no answer (exit status {outcome.status}): {last or 'no output'}"
        return known.get(outcome.status, f"{nothing}; the engine was sent once more, so its files are not the reason")

    def _version(self) -> str:
        """The robot's Python, and its version, in its own words."""
        done = self.execute(f"{self._python('--version')} 2>&1", b"")
        said = next((line for line in done.stdout.splitlines() if line.startswith("Python ")), "of an unknown version")
        return answers.harmless(f"{self.interpreter or 'python3'} is {said[:100]}")

    def _kept(self, digest: str, check: bool) -> str:
        # Check mode must not even leave bytecode of a kept engine behind.
        flags = "-ISB" if check else "-IS"
        program = f"{ROOM}/{digest}/__main__.py"
        return f"test -f {program} || exit {MISSING}; {self._python(f'{flags} {program}')}"

    def _sent(self) -> str:
        return self._python(f"-ISB -c {shlex.quote(_READ)}")

    def _python(self, arguments: str) -> str:
        """A shell command that runs the first Python found, with these arguments."""
        prefix = f"{self.environment} " if self.environment else ""
        if self.interpreter:
            words = [shlex.quote(word) for word in shlex.split(self.interpreter)]
            program = " ".join(words)
            return f"command -v {words[0]} >/dev/null 2>&1 || exit {NO_PYTHON}; {prefix}{program} {arguments}"
        search = f'for p in {" ".join(INTERPRETERS)}; do command -v "$p" >/dev/null 2>&1 && break; p=; done'
        return f'{search}; test "$p" || exit {NO_PYTHON}; {prefix}"$p" {arguments}'


def _answer(outcome: Outcome) -> dict[str, t.Any] | None:
    """The JSON object behind the marker; None where there is none. Raises `RobotProblem` where it was cut off."""
    # A login banner may come before the marker, and other output of the shell after the answer.
    found = False
    for line in outcome.stdout.splitlines():
        if found:
            try:
                answer = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RobotProblem("the robot's answer is incomplete; run again") from error
            return answer if isinstance(answer, dict) else None
        found = line.strip() == MARKER
    return None
