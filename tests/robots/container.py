# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot as a container: process 1 is systemd, and as far as SSH and systemd can see it is a machine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from tests.robots import identity, image
from tests.robots.host import RobotsError, run
from tests.robots.machine import Setup

# Not --privileged: a host may itself lack some capability, and Docker then refuses to start anything privileged.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
    *("NET_ADMIN", "NET_RAW", "SYS_CHROOT", "SYS_PTRACE", "SYS_ADMIN", "MKNOD", "AUDIT_WRITE", "SETFCAP", "SYS_NICE", "SYSLOG"),
)

LAST_LINES = 20
"""Of what process 1 wrote: enough for the request that ended it."""


def names(fleet: str) -> list[str]:
    """The fleet's container robots, running or not."""
    form = '{{.Label "k8s4r.robot"}}'
    return run("docker", "ps", "--all", "--filter", f"label=k8s4r.fleet={fleet}", "--format", form).split()


@dataclass(frozen=True)
class Container:
    """The container robot ``name`` of a fleet."""

    fleet: str
    name: str

    @property
    def full_name(self) -> str:
        """Unique on this machine."""
        return f"{self.fleet}-{self.name}"

    def _inspect(self, form: str) -> str:
        return run("docker", "inspect", "--type", "container", "--format", form, self.full_name, check=False).strip()

    def digest(self) -> str:
        """What it was made from, kept in a label."""
        return self._inspect('{{index .Config.Labels "k8s4r.setup"}}')

    def address(self) -> str:
        """Its address, known also while it is off."""
        return self._inspect('{{index .Config.Labels "k8s4r.address"}}')

    def create(self, setup: Setup) -> None:
        """Make it, give it its files before its first process, and start it."""
        labels = {"k8s4r.fleet": self.fleet, "k8s4r.robot": self.name, "k8s4r.setup": setup.digest(), "k8s4r.address": setup.address}
        run(
            *("docker", "create", "--name", self.full_name, "--hostname", self.name),
            *("--network", setup.network.name, "--ip", setup.address),
            *("--cap-drop", "ALL", *(word for capability in CAPABILITIES for word in ("--cap-add", capability))),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns", "private"),
            *("--tmpfs", "/run:exec,nosuid,nodev,mode=755", "--tmpfs", "/tmp:exec,nosuid,nodev,mode=1777"),
            # Serial ports: none that there is, but their driver is what DeviceAllow= is tried with.
            *("--device-cgroup-rule", "c 4:* rwm"),
            # The kernel's log, for those tests that make its device.
            *("--device-cgroup-rule", "c 1:11 r"),
            *("--stop-signal", "SIGRTMIN+3", "--env", "container=docker", "--env", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
            *(word for host, ip in setup.hosts.items() for word in ("--add-host", f"{host}:{ip}")),
            *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
            *(image.docker_image(setup.spec), "/usr/local/sbin/robot-init"),
        )
        run("docker", "cp", "-", f"{self.full_name}:/", data=identity.as_tar(setup.files))
        self.start()

    def running(self) -> bool:
        """Whether its process 1 is there."""
        return self._inspect("{{.State.Running}}") == "true"

    def start(self) -> None:
        """Start it; a network cable that was pulled while it ran is plugged in again by that."""
        run("docker", "start", self.full_name)

    def power_cut(self) -> None:
        """Kill every process at once. What was written stays: a container shares the host's page cache."""
        run("docker", "kill", self.full_name)

    def reboot(self) -> None:
        """Stop it by systemd's own signal, and start it."""
        run("docker", "restart", "--time", "60", self.full_name)

    def network(self, up: bool) -> None:
        """Set the host's end of its interface up or down. One that is off is taken off its network, until the cable is plugged in."""
        attached = self.fleet in self._inspect("{{json .NetworkSettings.Networks}}")
        if up and not attached:
            run("docker", "network", "connect", "--ip", self.address(), self.fleet, self.full_name)
        elif self.running():
            self._set_link(up)
        elif attached and not up:
            run("docker", "network", "disconnect", self.fleet, self.full_name)

    def _set_link(self, up: bool) -> None:
        index = self.console("cat /sys/class/net/eth0/iflink").strip()
        for link in json.loads(run("ip", "-json", "link", "show")):
            if str(link["ifindex"]) == index:
                run("ip", "link", "set", link["ifname"], "up" if up else "down")
                return
        raise RobotsError(f"{self.full_name}: no interface {index} on this machine")

    def console(self, command: str, check: bool = True) -> str:
        """Run a command by way of Docker."""
        return run("docker", "exec", self.full_name, "sh", "-c", command, check=check)

    def last_words(self) -> str:
        """From its journal on the disk, read in a container that runs: this one may have ended, and its own programs with it."""
        journal = subprocess.run(["docker", "cp", f"{self.full_name}:/var/log/journal", "-"], capture_output=True, check=False).stdout
        read = f"tar -x -C /tmp && journalctl --directory=/tmp/journal --no-pager --lines={LAST_LINES} _PID=1"
        reader = ("docker", "run", "--rm", "--interactive", "--network", "none", self._inspect("{{.Config.Image}}"), "sh", "-c", read)
        return run(*reader, data=journal, check=False)

    def remove(self) -> None:
        """Remove it with its volumes."""
        run("docker", "rm", "--force", "--volumes", self.full_name)
