# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror of the releases of SPIRE and Envoy, in the layout of the originals, for robots that reach nothing else.

The roles take their downloads and checksum files from it just as they would from the original: that path is what is
tested. One mirror serves one fleet, at the address that this machine has on the fleet's network.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.robots.host import CHECKOUT, alive, cache_dir, lock, processes, wait_for
from tests.robots.mirror import envoy, spire

PORT = 8480
INSTALLED = "/usr/local/lib/robot"
"""Where an emulated robot has the programs from the beginning: to unpack them and to compare their digests takes it minutes."""
STOPPING_SECONDS = 60


def variables(gateway: str) -> dict[str, str]:
    """What the inventory says of the mirror: the roles' own variables."""
    url = f"http://{gateway}:{PORT}"
    return {
        "spire_mirror_url": url,
        "spire_version": spire.VERSION,
        "envoy_mirror_url": url,
        "envoy_version": envoy.VERSION,
    }


def host_variables() -> dict[str, object]:
    """What the inventory says of a robot that has the programs."""
    return {"envoy_program": f"{INSTALLED}/envoy", "spire_program": {"agent": f"{INSTALLED}/spire-agent"}}


def ensure(fleet: str, gateway: str, architectures: set[str]) -> None:
    """Have the releases for these architectures, and a process of this fleet that serves them."""
    with lock("releases"):
        for architecture in sorted(architectures):
            spire.ensure(root(), architecture)
        envoy.ensure(root())
    if answers(gateway):
        if processes("--fleet", fleet, "--bind", gateway):
            return
        # A run that was killed has left it, at an address that was its network's. Whoever cleans up after that run would end it.
        _end(processes("--bind", gateway, str(PORT)), f"an old mirror at {gateway}")
    log = (cache_dir() / "mirror.log").open("ab")
    command = [sys.executable, "-m", "tests.robots.mirror", "--fleet", fleet, "--bind", gateway, str(PORT), str(root())]
    subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    wait_for(lambda: answers(gateway), 120, f"the mirror at {gateway} does not answer; its log is {log.name}")


def installed() -> dict[str, tuple[int, bytes]]:
    """The programs of the releases, as files of a robot that has them already (`INSTALLED`). The mirror has the releases by then."""
    contents = {"spire-agent": spire.agent(root()), "envoy": envoy.program(root())}
    return {f"{INSTALLED.lstrip('/')}/{name}": (0o755, content) for name, content in contents.items()}


def answers(gateway: str) -> bool:
    """Whether the mirror can be reached."""
    try:
        with urllib.request.urlopen(f"http://{gateway}:{PORT}/", timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop(fleet: str) -> None:
    """End the fleet's mirror, found by its command line; the next one may have its address."""
    _end(processes("-m", "tests.robots.mirror", "--fleet", fleet), f"the mirror of {fleet}")


def _end(found: list[int], called: str) -> None:
    for process in found:
        os.kill(process, signal.SIGTERM)
    wait_for(lambda: not any(map(alive, found)), STOPPING_SECONDS, f"{called} does not end")


def root() -> Path:
    """The served tree: ``<project>/releases/download/v<version>/<file>``."""
    return cache_dir("mirror")
