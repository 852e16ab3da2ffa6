# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ansible-test sanity`` on a copy of what git tracks: it wants the collection's own path, and no link to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_test
from ansible.release import __version__

from tests.robots.host import CHECKOUT, cache_dir, lock
from tests.robots.mirror import wheel

HOME = cache_dir("sanity", __version__)
"""ansible-test makes a virtual environment there for each of its tests, which takes longer than the tests."""
COPY = CHECKOUT / "build" / "sanity" / __version__ / "ansible_collections" / "k8s4r" / "robot"

# The pip that ansible-test makes its virtual environments with, by the version that an ansible-core asks for. What pip then
# installs there is pinned, with all that comes along, by lists inside ansible-core, which requirements.txt locks by its hash.
PIP_SHA256 = {
    "24.2": "2cd581cf58ab7fcfca4ce8efa6dcacd0de5bf8d0a3eb9ec927e07405f4d9e2a2",
    "25.2": "6d67a2b4e7f14d8b31b8b52648866fa717f45a1eb70e83002f4331d07e953717",
}

# Stands in for the get-pip script that ansible-test would download for its virtual environments: pip's own wheel,
# which the package index has, can install itself.
GET_PIP = """
import runpy, sys
sys.path.insert(0, {wheel!r})
ours = {{"--no-setuptools", "--no-wheel"}}
sys.argv = ["pip", "install", *(word for word in sys.argv[1:] if word not in ours)]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def copy_collection() -> None:
    """Copy the tracked files into a repository of their own: ansible-test asks git what there is to test."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (CHECKOUT / name).exists():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, COPY / name)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    subprocess.run(["git", "add", "."], cwd=COPY, check=True)


def provide_pip() -> None:
    """Put the stand-in where ansible-test looks before it downloads, for the pip version that it wants."""
    pins = Path(ansible_test.__file__).parent / "_internal" / "python_requirements.py"
    version = re.search(r"pip='([\d.]+)'", pins.read_text())[1]
    script = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    if version not in PIP_SHA256:
        sys.exit(f"tests/sanity.py: this ansible-core wants pip {version}; add the SHA-256 of its wheel to PIP_SHA256")
    script.parent.mkdir(parents=True, exist_ok=True)
    installer = wheel.fetch(f"pip=={version}", PIP_SHA256[version], script.parent)
    script.write_text(GET_PIP.format(wheel=str(installer)))


def environment() -> dict[str, str]:
    """What ansible-test runs with: a home of its own, and the Pythons behind pyenv's shims, which run only one of them."""
    path = []
    for entry in os.environ["PATH"].split(os.pathsep):
        pythons = sorted(map(str, Path(entry).parent.glob("versions/3.*/bin"))) if Path(entry).name == "shims" else [entry]
        path.extend(pythons)
    return dict(os.environ, HOME=str(HOME), PATH=os.pathsep.join(path))


def main() -> int:
    """Run all sanity tests; the exit status is ansible-test's."""
    copy_collection()
    # Another checkout may make the same virtual environments.
    with lock(f"sanity-{__version__}"):
        provide_pip()
        return subprocess.run(["ansible-test", "sanity", *sys.argv[1:]], cwd=COPY, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
