# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a virtual machine, reached without its network: files put there before it boots, and its guest agent."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.robots.machine import Setup

SILENCE_SECONDS = 60
"""Whatever is asked while the guest boots is answered when its agent is up."""
COMMAND_SECONDS = 120
LONGEST_PAUSE = 1.0

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
    network = f"[Match]\nName=eth0 vec0\n\n[Network]\nAddress={setup.address}/24\nGateway={setup.network.gateway}\n"
    return {
        "etc/hostname": (0o644, f"{setup.spec.name}\n".encode()),
        "etc/hosts": (0o644, "".join(f"{line}\n" for line in hosts).encode()),
        "etc/systemd/network/eth0.network": (0o644, network.encode()),
        "etc/systemd/system/systemd-udev-trigger.service.d/robot.conf": (0o644, TRIGGER.encode()),
        **{f"etc/systemd/system/{unit}": (0o644, b"") for unit in MASKED},
    }


def execute(agent: Path, command: str, silence: float = SILENCE_SECONDS) -> tuple[int, str]:
    """Run a shell command in the guest: its exit status and standard output.

    ``agent``: what leads to its guest agent, a socket or a directory with a pipe each way. ``silence``: seconds without a word after which
    nobody is there, an OSError.
    """
    with _conversation(agent, silence) as line:
        # 0xFF makes the agent drop what an interrupted conversation left; our number tells its answer from older ones.
        number = time.monotonic_ns()
        line.say(b"\xff" + request("guest-sync-delimited", id=number))
        while b'"return": %d' % number not in line.hear():
            pass
        line.say(request("guest-exec", path="/bin/sh", arg=["-c", command], **{"capture-output": True}))
        started = json.loads(line.hear())
        if "return" not in started:
            raise ValueError(started)
        deadline, pause = time.monotonic() + COMMAND_SECONDS, 0.1
        while time.monotonic() < deadline:
            line.say(request("guest-exec-status", pid=started["return"]["pid"]))
            answer = json.loads(line.hear())
            if "return" not in answer:
                # The machine was started anew meanwhile, and its new agent knows nothing of what the old one ran.
                raise ValueError(answer)
            state = answer["return"]
            if state["exited"]:
                return state.get("exitcode", 255), base64.b64decode(state.get("out-data", "")).decode(errors="replace")
            # Each question keeps an emulated processor busy for a part of a second: the agent writes every one of them to the journal.
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)
    raise ValueError(f"no end of {command!r} within {COMMAND_SECONDS} s")


@dataclass
class Line:
    """A line to the guest agent: what it says is read from one file descriptor, and what is said to it is written to the other."""

    reader: int
    writer: int
    silence: float
    heard: bytes = b""

    def say(self, words: bytes) -> None:
        """Write all of it."""
        while words:
            if not select.select([], [self.writer], [], self.silence)[1]:
                raise TimeoutError("the guest agent reads nothing")
            # So much goes into a pipe that has room at all.
            words = words[os.write(self.writer, words[: select.PIPE_BUF]) :]

    def hear(self) -> bytes:
        """The next line."""
        while b"\n" not in self.heard:
            if not select.select([self.reader], [], [], self.silence)[0]:
                raise TimeoutError("the guest agent says nothing")
            more = os.read(self.reader, 1 << 16)
            if not more:
                raise ConnectionError("the guest agent's line was closed")
            self.heard += more
        line, _newline, self.heard = self.heard.partition(b"\n")
        return line


@contextlib.contextmanager
def _conversation(agent: Path, silence: float) -> Iterator[Line]:
    with contextlib.ExitStack() as stack:
        if agent.is_dir():
            ends = [os.open(agent / pipe, way | os.O_NONBLOCK) for pipe, way in (("from", os.O_RDONLY), ("to", os.O_WRONLY))]
            for end in ends:
                stack.callback(os.close, end)
        else:
            connection = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            connection.connect(str(agent))
            ends = [connection.fileno()] * 2
        yield Line(*ends, silence)


def request(name: str, **arguments: object) -> bytes:
    """One line of the agent's protocol (QEMU Guest Agent Protocol Reference)."""
    return json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"
