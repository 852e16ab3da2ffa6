# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a virtual machine, reached without its network: files put there before it boots, and its guest agent."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from pathlib import Path

from tests.robots.machine import Setup

SILENCE_SECONDS = 60
"""Whatever is asked while the guest boots is answered when its agent is up."""
COMMAND_SECONDS = 120

MASKED = (
    *("modprobe@.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "getty@tty1.service", "dev-hugepages.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dpkg-db-backup.timer", "fstrim.timer"),
)
"""Units that no test is about: an emulated machine takes a part of a second for each, at every boot. An empty file takes the place of each.
"""
DEVICES = ("virtio", "virtio-ports", "net", "block", "amba")
"""What udev is to look at, at a boot, of what was there before it: disk, network, guest agent, and arm64's clock. The kernel has made
the other 250 devices, most of them consoles that nobody has.
"""
TRIGGER = f"[Service]\nExecStart=\nExecStart=udevadm trigger --action=add {' '.join(f'--subsystem-match={each}' for each in DEVICES)}\n"


def files(setup: Setup) -> dict[str, tuple[int, bytes]]:
    """What Docker gives a container and nobody gives a virtual machine: name, address, names of others."""
    hosts = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in setup.hosts.items())]
    network = f"[Match]\nName=eth0\n\n[Network]\nAddress={setup.address}/24\nGateway={setup.network.gateway}\n"
    return {
        "etc/hostname": (0o644, f"{setup.spec.name}\n".encode()),
        "etc/hosts": (0o644, "".join(f"{line}\n" for line in hosts).encode()),
        "etc/systemd/network/eth0.network": (0o644, network.encode()),
        "etc/systemd/system/systemd-udev-trigger.service.d/robot.conf": (0o644, TRIGGER.encode()),
        **{f"etc/systemd/system/{unit}": (0o644, b"") for unit in MASKED},
    }


def execute(agent: Path, command: str) -> tuple[int, str]:
    """Run a shell command in the guest: its exit status and standard output."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(SILENCE_SECONDS)
        connection.connect(str(agent))
        lines = connection.makefile("rb")
        # 0xFF makes the agent drop what an interrupted conversation left; our number tells its answer from older ones.
        number = time.monotonic_ns()
        connection.sendall(b"\xff" + request("guest-sync-delimited", id=number))
        while b'"return": %d' % number not in lines.readline():
            pass
        connection.sendall(request("guest-exec", path="/bin/sh", arg=["-c", command], **{"capture-output": True}))
        started = json.loads(lines.readline())
        if "return" not in started:
            raise ValueError(started)
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            connection.sendall(request("guest-exec-status", pid=started["return"]["pid"]))
            answer = json.loads(lines.readline())
            if "return" not in answer:
                # The machine was started anew meanwhile, and its new agent knows nothing of what the old one ran.
                raise ValueError(answer)
            state = answer["return"]
            if state["exited"]:
                return state.get("exitcode", 255), base64.b64decode(state.get("out-data", "")).decode(errors="replace")
            time.sleep(0.1)
    raise ValueError(f"no end of {command!r} within {COMMAND_SECONDS} s")


def request(name: str, **arguments: object) -> bytes:
    """One line of the agent's protocol (QEMU Guest Agent Protocol Reference)."""
    return json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"
