# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller as a container, for the newest ansible-core: it needs a newer Python than the one that runs the tests.

The checkout, the cache and the directory of temporary files are there under their own paths, so that what runs in the
container is given the same arguments as what runs outside.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tests.robots import image
from tests.robots.host import CHECKOUT, cache_dir, ensure_docker, lock, run

DISTRO = "trixie"
PACKAGES = ("python3", "python3-venv", "openssh-client", "git", "ca-certificates")
REQUIREMENTS = CHECKOUT / "tests" / "requirements-newest.txt"
HOME = "/opt/ansible"

INDEX_SETTINGS = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches the package index, where pip must be told; the environment's PIP_* beside them."""


def command(*words: str | os.PathLike[str], network: str, environment: dict[str, str], hidden: Path | None = None) -> list[str]:
    """The command line that runs a command on the controller, in the present directory.

    ``network`` is the network of Docker's that the controller is on. Of the directory ``hidden`` it sees an empty one.
    """
    places = {CHECKOUT, _git_directory(), cache_dir(), Path(tempfile.gettempdir())}
    environment = {"XDG_CACHE_HOME": str(cache_dir().parent), **environment}
    return [
        *("docker", "run", "--rm", "--init", "--network", network, "--workdir", os.getcwd()),
        *(word for place in sorted(places) for word in ("--volume", f"{place}:{place}")),
        *(("--tmpfs", f"{hidden}:mode=700") if hidden else ()),
        *(word for name in os.environ if name.startswith("PIP_") for word in ("--env", name)),
        *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
        *(_image(), *map(str, words)),
    ]


def _git_directory() -> Path:
    """Where git keeps what it knows of the checkout: inside it, or elsewhere for a work tree."""
    return Path(run("git", "-C", CHECKOUT, "rev-parse", "--path-format=absolute", "--git-common-dir").strip())


def _image() -> str:
    """The Docker image, built if this machine does not have it."""
    ensure_docker()
    recipe = "\n".join((DISTRO, *PACKAGES, HOME, REQUIREMENTS.read_text()))
    tag = f"k8s4r-controller:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with lock("controller"):
        if not image.exists(tag):
            image.build(tag, _mmdebstrap(), ["docker", "import", "--change", f"ENV PATH={HOME}/bin:/usr/bin:/bin", "-", tag])
    return tag


def _mmdebstrap() -> list[str]:
    """The command that writes the root file system to standard output as a tar."""
    hooks = (
        *(f"copy-in {path} {Path(path).parent}" for path in INDEX_SETTINGS if Path(path).exists()),
        f'chroot "$1" python3 -m venv {HOME}',
        f"copy-in {REQUIREMENTS} {HOME}",
        f'chroot "$1" {HOME}/bin/pip install --quiet -r {HOME}/{REQUIREMENTS.name}',
    )
    return [
        *("mmdebstrap", "--variant=minbase", "--format=tar", f"--include={','.join(PACKAGES)}"),
        *(f"--customize-hook={hook}" for hook in hooks),
        *(DISTRO, "-"),
    ]
