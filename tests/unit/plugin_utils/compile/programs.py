# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that tests write and run, as a robot runs helpers."""

from __future__ import annotations

import pathlib
import shlex
import subprocess

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def run(argv: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*argv, *arguments], env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=20, check=False)


def program(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fails_until(path: pathlib.Path, attempt: int) -> str:
    """A shell command that leaves a line at each call and succeeds from its `attempt`-th on."""
    quoted = shlex.quote(str(path))
    return f"echo called >>{quoted}; [ $(wc -l <{quoted}) -ge {attempt} ] || exit 7"
