# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new lock would bring, and what it would break: the fast half of the tests with the newest of everything.

The newest is what installs together under this Python, with no regard to the upper bounds in the ``.in`` files. The newest
ansible-core needs a newer Python than this may be: what is newer there is named, and ``make test`` runs it in a container.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parent.parent
TESTS = CHECKOUT / "tests"
HOME = CHECKOUT / "build" / "outdated"
VENV = HOME / "venv"
RESULTS = HOME / "results.xml"
LISTS = ("requirements", "requirements-bench", "requirements-dds")
# What a controller with a newer Python has, and that Python as `make lock` names it.
CONTROLLER, CONTROLLER_PYTHON = "requirements-newest", "3.13"
PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.M)
WANTED = re.compile(r"^([\w.-]+)", re.M)
FAST_HALF = "not robots and not vm and not sanity"


def locked(*lists: str) -> dict[str, str]:
    """The version that lock files hold of each package."""
    return {name: version for each in lists for name, version in PINNED.findall((TESTS / f"{each}.txt").read_text())}


def newest_of_controller() -> dict[str, str]:
    """The version of each package that a new lock of the newer controller would hold; nothing is installed."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--python-version", CONTROLLER_PYTHON]
    listed = subprocess.run([*command, TESTS / f"{CONTROLLER}.in"], check=True, capture_output=True, text=True)
    return dict(PINNED.findall(listed.stdout))


def install_newest() -> dict[str, str]:
    """Make the virtual environment anew; the version of each package in it."""
    shutil.rmtree(HOME, ignore_errors=True)
    wanted = [name for each in LISTS for name in WANTED.findall((TESTS / f"{each}.in").read_text())]
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, VENV], check=True)
    subprocess.run(["uv", "pip", "install", "--quiet", "--upgrade", "--python", VENV, *wanted], check=True)
    listed = subprocess.run(["uv", "pip", "list", "--format", "json", "--python", VENV], check=True, capture_output=True)
    return {package["name"].lower(): package["version"] for package in json.loads(listed.stdout)}


def table(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """One row for each package whose newest version is not the locked one; a dash where one side has none."""
    changes = [(name, old.get(name, "-"), new[name]) for name in sorted(new) if new[name] != old.get(name)]
    rows = [("package", "locked", "newest"), *changes] if changes else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, (28, 20, 0))) for row in rows]


def failures() -> list[str]:
    """The tests that did not pass, by pytest's report."""
    cases = ElementTree.parse(RESULTS).iter("testcase")
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def main() -> int:
    """Install, test, and say what is newer and what breaks; the exit status is pytest's."""
    rows = table(locked(*LISTS), install_newest())
    of_controller = table(locked(CONTROLLER), newest_of_controller())
    environment = dict(os.environ, PATH=f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}", VIRTUAL_ENV=str(VENV))
    pytest = [VENV / "bin" / "python", "-m", "pytest", "-q", "-m", FAST_HALF, f"--junitxml={RESULTS}"]
    status = subprocess.run(pytest, cwd=CHECKOUT, env=environment, check=False).returncode
    print("", *(rows or ["Nothing is newer than the lock."]), sep="\n")
    if of_controller:
        print(f"\nOf {CONTROLLER}.txt, which no test here uses:", *of_controller, sep="\n")
    if status:
        broken = failures() if RESULTS.exists() else []
        print("\nWith the newest versions these tests fail:", *broken, sep="\n  ")
    else:
        print("\nThe fast half passes with the newest versions; `make lock` takes them.")
    return status


if __name__ == "__main__":
    sys.exit(main())
