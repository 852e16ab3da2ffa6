# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Others who manage the robot's network, each told once that the links of pods are none of its business.

What they drop, no table of ours can let pass: so Docker and firewalld get one entry each, in the place that is there for it.
"""

from __future__ import annotations

import os

from ..plan import BRIDGE
from ..system import command
from ..system import files as disk
from .rules import PASSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

_WORD = "k8s4r: pods have walls of their own"
_HEAD = f"# {_WORD}. Removed with the last of them.\n"
# What is there where the program has run since the boot; a file of ours in a directory that it reads, and its text; what has it read that
# again, if it runs.
MANAGERS = (
    (
        "/run/NetworkManager",
        "/etc/NetworkManager/conf.d/k8s4r.conf",
        _HEAD + "[device-k8s4r]\nmatch-device=interface-name:k8s4r*\nmanaged=0\n",
        ["systemctl", "--no-block", "try-reload-or-restart", "NetworkManager.service"],
    ),
    (
        "/run/systemd/netif/state",
        "/etc/systemd/network/10-k8s4r.network",
        _HEAD + "[Match]\nName=k8s4r*\n\n[Link]\nUnmanaged=yes\n",
        ["networkctl", "reload"],
    ),
)
_DOCKER, _DOCKER_SIX = ["iptables", "--wait", "5"], ["ip6tables", "--wait", "5"]
_RULE = ["DOCKER-USER", "--match", "mark", "--mark", f"{PASSES:#x}/{PASSES:#x}", "--jump", "ACCEPT"]
_ZONE = ["firewall-cmd", "--quiet", "--zone=trusted"]


class Neighbours:
    """``root``: in front of all paths, for tests."""

    def __init__(self, root: str = "") -> None:
        self._root = root

    def ensure(self, six: bool = False) -> list[str]:
        """Tell those who run; a text for each who did not know. ``six``: pods have IPv6."""
        found = [path for runs, path, text, reads in MANAGERS if os.path.exists(self._root + runs) and self._tell(path, text, reads)]
        for tables in (_DOCKER, _DOCKER_SIX) if six else (_DOCKER,):
            if self._docker_knows(tables) is False:
                command.need([*tables, "--insert", *_RULE], timeout=command.PATIENCE)
                found.append("DOCKER-USER")
        if self._has_firewalld() and not self._is_in_zone():
            command.need([*_ZONE, f"--change-interface={BRIDGE}"], timeout=command.PATIENCE)
            found.append("firewalld")
        return found

    def remove(self) -> list[str]:
        """Take back what they were told."""
        found = []
        for _runs, path, _text, reads in MANAGERS:
            if os.path.exists(self._root + path):
                disk.remove(self._root + path)
                command.run(reads, timeout=command.PATIENCE)
                found.append(path)
        for tables in (_DOCKER, _DOCKER_SIX):
            while self._docker_knows(tables) and command.run([*tables, "--delete", *_RULE], timeout=command.PATIENCE)[0] == 0:
                found.append("DOCKER-USER")
        if self._has_firewalld() and self._is_in_zone():
            command.run([*_ZONE, f"--remove-interface={BRIDGE}"], timeout=command.PATIENCE)
            found.append("firewalld")
        return found

    def _tell(self, path: str, text: str, reads: t.Sequence[str]) -> bool:
        try:
            with open(self._root + path, encoding="utf-8") as stream:
                if stream.read() == text:
                    return False
        except FileNotFoundError:
            pass
        os.makedirs(os.path.dirname(self._root + path), exist_ok=True)
        disk.write(self._root + path, text.encode("utf-8"), 0, 0, 0o644)
        command.run(list(reads), timeout=command.PATIENCE)
        return True

    def _docker_knows(self, tables: t.Sequence[str]) -> bool | None:
        """Whether its chain has our rule; None where it has none. Nothing is loaded for a robot on which it has not run."""
        if not os.path.isdir(self._root + "/sys/class/net/docker0"):
            return None
        status, listed = command.run([*tables, "--list-rules", "DOCKER-USER"], errors=False, timeout=command.PATIENCE)
        return f"{PASSES:#x}/{PASSES:#x}" in listed if status == 0 else None

    def _has_firewalld(self) -> bool:
        installed = os.path.exists(self._root + "/usr/sbin/firewalld")
        return installed and command.run(["systemctl", "is-active", "--quiet", "firewalld.service"], timeout=command.PATIENCE)[0] == 0

    def _is_in_zone(self) -> bool:
        """Its own program takes 200 ms of a processor; so its table is asked, where it has one."""
        status, listed = command.run(["nft", "--stateless", "list", "table", "inet", "firewalld"], errors=False, timeout=command.PATIENCE)
        if status == 0:
            return f'"{BRIDGE}"' in listed
        return command.run([*_ZONE, f"--query-interface={BRIDGE}"], timeout=command.PATIENCE)[0] == 0
