# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench itself: two robots, a clean environment, and commands that are timed in it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import time
import typing as t

from tests.robots import Fleet
from tests.robots.host import CHECKOUT, run
from tests.robots.spec import specs

HERE = pathlib.Path(__file__).parent
BUILD = CHECKOUT / "build"
PROGRAMS = pathlib.Path(sys.executable).parent

# Set in a developer's shell, any of these would distort what is measured.
DISTURBING = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHASHSEED")


class BenchError(Exception):
    """A command that is to be timed did not do what it is timed for."""


class Timed(t.NamedTuple):
    """One run: wall-clock seconds, the controller's CPU seconds and largest resident set (KiB), and what was printed."""

    seconds: float
    cpu: float
    resident: int
    output: str


class Bench:
    """Two robots of a fleet of its own, brought up or found running."""

    def __init__(self) -> None:
        # What a ping costs is what it costs on robots that nobody has made for it.
        self.fleet = Fleet("bench", bytecode=False)
        self.work = BUILD / "bench"
        self.work.mkdir(parents=True, exist_ok=True)
        self.inventory = self.fleet.up(specs({"robot": 2}, "bookworm", "container"))
        self.robots = self.fleet.names()
        self.environment = {name: value for name, value in os.environ.items() if name not in DISTURBING and not name.startswith("ANSIBLE_")}
        self.environment |= {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD),
            "ANSIBLE_HOME": str(self.work / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "K8S4R_HOME": str(self.work / "home"),
            "BENCH_INVENTORY": str(self.inventory),
        }

    def run(self, command: t.Sequence[str], extra: t.Mapping[str, str] | None = None) -> Timed:
        """Run a command to its end on the controller; anything but success is an error."""
        log = self.work / "output.txt"
        with log.open("wb") as output:
            start = time.monotonic()
            process = subprocess.Popen(
                command, env={**self.environment, **(extra or {})}, cwd=self.work, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            _pid, status, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said = log.read_text(errors="replace")
        if process.returncode:
            raise BenchError(f"{' '.join(command)}: exit status {process.returncode}\n{said[-3000:]}")
        return Timed(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss, said)

    def playbook(self, *arguments: str) -> list[str]:
        """The command line of a playbook on the bench's robots."""
        return ["ansible-playbook", "-i", str(self.inventory), *arguments]

    def deploy(self, job: str) -> list[str]:
        return self.playbook("k8s4r.robot.deploy_taskgroup", "-e", f"job={HERE / 'jobs' / job}")

    def remove(self, job: str) -> list[str]:
        return self.playbook("k8s4r.robot.remove_taskgroup", "-e", f"job={HERE / 'jobs' / job}")

    def on(self, robot: str, command: str) -> str:
        """A shell command inside a robot that does not cross its network interface."""
        return run("docker", "exec", self.fleet.machine(robot).full_name, "sh", "-c", command)

    @contextlib.contextmanager
    def without_spire(self) -> t.Iterator[None]:
        """Agents talk to their server every second or so; while they rest, the interface carries only what a run sends.

        They are halted and not stopped: a run that found an agent's socket gone would provide the robot with an agent again.
        """
        running = {
            robot: self.on(robot, "systemctl list-units --state=active --plain --no-legend 'spire-*' | cut -d' ' -f1").split()
            for robot in self.robots
        }
        busy = {robot: " ".join(units) for robot, units in running.items() if units}
        for robot, units in busy.items():
            self.on(robot, f"systemctl kill --signal=STOP {units}")
        try:
            yield
        finally:
            for robot, units in busy.items():
                self.on(robot, f"systemctl kill --signal=CONT {units}")

    def disconnect(self) -> None:
        """End the shared SSH connections, so that the next run opens its own."""
        for socket in self.fleet.control.iterdir():
            subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "robot"], capture_output=True, check=False)


def install(bench: Bench, robot: str, package: str) -> None:
    """Have a package of Debian on a robot."""
    command = f"apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends {package}"
    bench.on(robot, f"[ -e /usr/share/doc/{package} ] || {{ {command}; }} >/dev/null")
