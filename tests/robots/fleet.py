# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet: some robots on a network of their own, brought up and taken away together.

Everything a fleet makes carries its full name, ``k8s4r-<checkout>-<prefix>``: fleets of other checkouts and with other
prefixes run beside it, and what a crash left behind is found by that name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.robots import container, identity, mirror, network
from tests.robots.host import BUILD, RobotsError, checkout_id, engine_answers, ensure_docker, lock, need, run, wait_for
from tests.robots.inventory import inventory, ssh_options
from tests.robots.machine import Machine, Setup, wait_booted
from tests.robots.spec import UPSTREAM_NAMES, RobotSpec
from tests.robots.virtual import machine as virtual

BOOT_SECONDS = {"container": 200, "vm": 600, "uml": 600}
"""Generous: a virtual machine boots in 20 s on an idle machine, and in minutes on a busy one."""

ANSWER_SECONDS = 60
"""A process 1 that is not frozen has long answered, however busy the machine is."""


class Fleet:
    """The robots of one prefix; the same prefix always means the same fleet, also in another process."""

    def __init__(self, prefix: str = "robots", bytecode: bool = True) -> None:
        """Name the fleet; nothing is started yet. ``bytecode``: whether its robots keep what Ansible's modules were compiled to, as no
        robot of somebody's does.
        """
        self.prefix = prefix
        self.bytecode = bytecode
        self.full_name = f"k8s4r-{checkout_id()}-{prefix}"
        self.directory = BUILD / prefix
        self.key = self.directory / "id_ed25519"
        self.known_hosts = self.directory / "known_hosts"
        # A socket's path has at most 107 characters, and a checkout may lie deep.
        self.control = Path(tempfile.gettempdir(), f"{self.full_name}-ssh")
        # Asking Docker takes more of the processor than the SSH command that wants to know.
        self._addresses: dict[str, str] = {}
        self._setups: dict[str, Setup] = {}

    @property
    def inventory(self) -> Path:
        """The inventory's path; the fleet called ``robots`` has it at build/robots/inventory.yml."""
        return (BUILD if self.prefix == "robots" else self.directory) / "inventory.yml"

    def up(self, specs: list[RobotSpec], variables: dict[str, str] | None = None) -> Path:
        """Bring exactly these robots up, keeping those that run as wanted, and write the inventory."""
        if not specs or len({spec.name for spec in specs}) < len(specs):
            raise RobotsError("a fleet needs at least one robot, and their names must differ")
        ensure_docker()
        need("ssh")
        with lock(self.full_name):
            return self._bring_up(specs, variables or {})

    def _bring_up(self, specs: list[RobotSpec], variables: dict[str, str]) -> Path:
        self.control.mkdir(mode=0o700, exist_ok=True)
        net = network.ensure(self.full_name)
        addresses = {spec.name: net.address(index) for index, spec in enumerate(specs)}
        hosts = self._hosts(specs, addresses)
        identity.ensure_key(self.key, "k8s4r-robots")
        self._addresses = {}
        for name in self.names():
            if name not in addresses:
                self.machine(name).remove()
        with ThreadPoolExecutor(4) as pool:
            releases = pool.submit(mirror.ensure, self.full_name, net.gateway, {spec.arch for spec in specs})
            setups = [Setup(spec, net, addresses[spec.name], hosts, self._files(spec.name)) for spec in specs]
            self._setups = {setup.spec.name: setup for setup in setups}
            if any(spec.has_programs for spec in specs):
                releases.result()
            list(pool.map(self._up, setups))
            releases.result()
        self._write_inventory(setups, mirror.variables(net.gateway) | variables)
        return self.inventory

    def _up(self, setup: Setup) -> None:
        machine = self.machine(setup.spec.name)
        if machine.digest() != setup.digest():
            self._forget_connection(setup.address)
            machine.remove()
            machine = self._new_machine(setup.spec)
            machine.create(setup)
        elif not machine.running():
            machine.start()
        else:
            return  # what somebody does on a running robot, and what of it fails, is theirs
        wait_booted(machine, BOOT_SECONDS[setup.spec.kind])

    def _files(self, name: str) -> dict[str, tuple[int, bytes]]:
        return identity.files(self.key, self.directory / "hosts" / name, self.bytecode)

    @staticmethod
    def _hosts(specs: list[RobotSpec], addresses: dict[str, str]) -> dict[str, str]:
        centre = next((spec.name for spec in specs if spec.datacentre), specs[0].name)
        return {**addresses, **dict.fromkeys(UPSTREAM_NAMES, addresses[centre])}

    def _write_inventory(self, setups: list[Setup], variables: dict[str, str]) -> None:
        public = {setup.address: setup.files[identity.HOST_KEY][1].decode().split()[:2] for setup in setups}
        self.known_hosts.write_text("".join(f"{address} {kind} {key}\n" for address, (kind, key) in public.items()))
        options = ssh_options(self.known_hosts, self.control)
        self.inventory.write_text(inventory(setups, self.key, options, variables))

    def names(self) -> list[str]:
        """The names of the robots that exist, running or not."""
        machines = self.directory / "vm"
        return sorted([*container.names(self.full_name), *(os.listdir(machines) if machines.exists() else ())])

    def machine(self, name: str) -> Machine:
        """The robot as a machine: power, network cable, console."""
        found = self._virtual(name)
        return found if found.directory.exists() else container.Container(self.full_name, name)

    def _new_machine(self, spec: RobotSpec) -> Machine:
        return self._virtual(spec.name) if spec.virtual else container.Container(self.full_name, spec.name)

    def _virtual(self, name: str) -> virtual.VirtualMachine:
        return virtual.VirtualMachine(self.full_name, name, self.directory / "vm" / name, self.control)

    def address(self, name: str) -> str:
        """The robot's address on the fleet's network."""
        address = self._addresses.get(name) or self.machine(name).address()
        if not address:
            raise RobotsError(f"the fleet {self.prefix} has no robot {name}; it has: {', '.join(self.names()) or 'none'}")
        self._addresses[name] = address
        return address

    def ssh(self, name: str, command: str, check: bool = True, timeout: float = 180) -> str:
        """Run a shell command on the robot over SSH, as root, and return its standard output."""
        options = ssh_options(self.known_hosts, self.control)
        return run("ssh", "-i", self.key, *options, f"root@{self.address(name)}", command, check=check, timeout=timeout)

    def answers(self, name: str) -> bool:
        """Whether its process 1 is there and does what it is asked."""
        return bool(self.console(name, f"timeout {ANSWER_SECONDS} systemctl show --property=Version", check=False).strip())

    def last_words(self, name: str) -> str:
        """The last lines that its process 1 wrote, also where it is no more."""
        return self.machine(name).last_words()

    def renew(self, name: str) -> None:
        """A new robot in the place of one that is broken: with its name, address and keys, and nothing that was on it."""
        with lock(self.full_name):
            self._forget_connection(self.address(name))
            self.machine(name).remove()
            self._up(self._setups[name])

    def power_cut(self, name: str) -> None:
        """Pull the plug. Switch on again with ``start``."""
        self._forget_connection(self.address(name))
        self.machine(name).power_cut()

    def start(self, name: str, wait: bool = True) -> None:
        """Switch the robot on; by default wait until its systemd says ``running``."""
        self.machine(name).start()
        if wait:
            wait_booted(self.machine(name), BOOT_SECONDS["vm"])

    def reboot(self, name: str, wait: bool = True) -> None:
        """An orderly reboot."""
        self._forget_connection(self.address(name))
        self.machine(name).reboot()
        if wait:
            wait_booted(self.machine(name), BOOT_SECONDS["vm"])

    def console(self, name: str, command: str, check: bool = True) -> str:
        """Run a shell command on the robot without its network, as root, and return its standard output."""
        return self.machine(name).console(command, check)

    def cut_network(self, name: str) -> None:
        """Unplug the network cable, with no word to either end."""
        self.machine(name).network(up=False)

    def restore_network(self, name: str) -> None:
        """Plug the network cable in again."""
        self.machine(name).network(up=True)

    def wait_ssh(self, name: str, seconds: float = 180) -> None:
        """Wait until the robot answers over SSH."""
        wait_for(lambda: "up" in self._quiet_ssh(name), seconds, f"{name}: no answer over SSH", pause=0.5)

    def _quiet_ssh(self, name: str) -> str:
        try:
            return self.ssh(name, "echo up", check=False, timeout=10)
        except RobotsError:
            return ""

    def _forget_connection(self, address: str) -> None:
        """End the shared SSH connection: its other end is about to vanish, and its next user would hang."""
        socket = self.control / address
        if socket.is_socket():
            subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "robot"], capture_output=True, check=False)

    def down(self) -> None:
        """Remove every robot, the network, the mirror and the inventory; also what an interrupted run left."""
        self._addresses = {}
        mirror.stop(self.full_name)
        if engine_answers():
            for name in self.names():
                # A run that was killed may have left a robot that has no address yet.
                self._forget_connection(self.machine(name).address())
                self.machine(name).remove()
            for process in virtual.leftovers(self.full_name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            network.remove(self.full_name)
        shutil.rmtree(self.control, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.inventory.unlink(missing_ok=True)
