# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real robot, and its engine called the way that the action plugins call it."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.mesh import peers
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.robot import compile_robot
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.site.site import Rendering, as_written
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet import robots
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.placement import place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read import reader
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport import packing
from ansible_collections.k8s4r.robot.plugins.plugin_utils.transport.exec import Caller, Outcome
from tests.robots import Fleet
from tests.robots.inventory import ssh_options

TRIES = 500
"""So often a condition is looked at: twenty times a tenth of a second after the last time, for what comes soon, and then three times as
seldom. To look is a tenth of a processor's work where it is done ten times a second.
"""
LONGEST = 300.0
"""Seconds, after which nothing more is hoped for."""

STATE = "rm -rf /var/lib/k8s4r/*"
STATE_BUT = "find /var/lib/k8s4r -mindepth 1 -maxdepth 2 ! -path /var/lib/k8s4r/engine ! -path {} -prune -exec rm -rf '{{}}' + 2>/dev/null"
"""The same, but for one version of the engine."""
CLEAN = (
    "systemctl stop 'k8s4r-*' --all 2>/dev/null; systemctl reset-failed 'k8s4r*' 2>/dev/null;"
    " umount --lazy /run/k8s4r/memory/* 2>/dev/null; nft delete table inet k8s4r 2>/dev/null;"
    " {state}; rm -rf /run/k8s4r /etc/k8s4r /etc/systemd/system/k8s4r-* /etc/systemd/system/*.wants/k8s4r-*"
    " /var/lib/systemd/timers/stamp-k8s4r-*;"
    " for u in $(grep -o '^k8s4r-[^:]*' /etc/passwd); do userdel $u; done; rm -f /etc/sysusers.d/k8s4r-*; systemctl daemon-reload"
)

SYSTEMD = {"bullseye": "247", "bookworm": "252", "trixie": "257"}


class Machine:
    """One robot of a fleet."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.engine = f"/var/lib/k8s4r/engine/{packing.engine().digest}"

    def execute(self, command: str, content: bytes = b"", *more: str) -> Outcome:
        """A shell command on the robot, as root; ``more``: options of ssh."""
        options = [*ssh_options(self.fleet.known_hosts, self.fleet.control), *more]
        argv = ["ssh", "-i", self.fleet.key, *options, f"root@{self.fleet.address(self.name)}", command]
        done = subprocess.run(argv, input=content, capture_output=True, check=False, timeout=LONGEST)
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def sh(self, command: str) -> str:
        """A shell command that must end well; its output."""
        outcome = self.execute(command)
        assert outcome.status == 0, (command, outcome)
        return outcome.stdout

    def absent(self, command: str) -> None:
        """A shell command that must find nothing, as `test`, `grep` and `id` tell it: with status 1, and no output."""
        outcome = self.execute(command)
        assert (outcome.status, outcome.stdout) == (1, ""), (command, outcome)

    def state(self, unit: str) -> str:
        """What systemd calls it: active, inactive, failed; inactive also where there is no such unit."""
        return self.sh(f"systemctl show -p ActiveState --value {unit}").strip()

    def until(self, condition: str) -> None:
        """Wait until a shell command ends well. A machine that is busy may take its time; one that is wrong takes all of it."""
        self.sh(f"pause=0.1; for i in $(seq {TRIES}); do {condition} && exit; [ $i = 20 ] && pause=0.3; sleep $pause; done; exit 1")

    def gone(self, pattern: str) -> None:
        """Wait until no process has a command line like this. What was killed is there until its turn comes to end; what was left
        behind stays.
        """
        # Written so that the shell that waits does not find itself.
        self.until(f"! pgrep -f '[{pattern[0]}]{pattern[1:]}' >/dev/null")

    def processes(self, number: int, pattern: str) -> None:
        """Wait until so many processes have exactly this command line."""
        self.until(f"[ $(pgrep -cxf '{pattern}') = {number} ]")

    def down(self, *units: str) -> None:
        """Wait until units have ended, with all that their stop runs."""
        for unit in units:
            # An older systemd calls a unit inactive for a moment that is about to start again: it has a job then.
            shown = f"shown=$(systemctl show -p ActiveState,Job {unit} | tr '\\n' ' ')"
            self.until(f"{shown}; case $shown in *Job=[1-9]*) false;; *=inactive' '*|*=failed' '*) true;; *) false;; esac")

    def listens(self, port: int) -> None:
        """Wait until a program listens on a port."""
        self.until(f"ss -ltn | grep -q ':{port} '")

    def script(self, content: str) -> Outcome:
        """A Python program on the robot that can import the kept engine."""
        front = f"import sys; sys.path.insert(0, {self.engine!r})\n"
        return self.execute("python3 -I -S -", (front + content).encode())

    def call(self, **request: t.Any) -> dict[str, t.Any]:
        """One request to the engine."""
        return Caller(self.execute).call(request, check=bool(request.get("check")))

    def finish(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """Poll until there is a result."""
        deadline = time.monotonic() + LONGEST
        while answer["status"] == "pending":
            assert time.monotonic() < deadline, answer
            answer = self.call(op="poll", release=answer["release"])
        return answer

    def prepare(self, *jobs: dict[str, t.Any], digest: str | None = None, **options: t.Any) -> dict[str, t.Any]:
        """``prepare`` with the plan of these jobs."""
        request = dict(request_of(*jobs, digest=digest), **options)
        return self.finish(self.call(**request, plan=plan.robot(list(jobs))))

    def ask(self, *jobs: dict[str, t.Any], digest: str | None = None, **options: t.Any) -> dict[str, t.Any]:
        """``prepare`` without the plan, as every run begins."""
        return self.call(**dict(request_of(*jobs, digest=digest), **options))

    def deploy(self, *jobs: dict[str, t.Any], digest: str | None = None, **options: t.Any) -> dict[str, t.Any]:
        """Prepare and, where something changes, switch; the last result."""
        prepared = self.prepare(*jobs, digest=digest, **options)
        if prepared["status"] != "staged":
            return prepared
        return self.finish(self.call(op="switch", release=prepared["release"]))

    def clean(self, engine: bool = False) -> None:
        """Take everything of ours off the robot. One whose process 1 is no more, or no longer answers, is made anew: what ended it
        was the test before. ``engine``: it stays, with its bytecode, for a test that is not about how one comes to a robot: to send, unpack
        and compile it takes 0.1 to 0.4 s of a processor.
        """
        # Where nobody has its address any more, SSH would otherwise wait for more than a minute.
        clean = CLEAN.format(state=STATE_BUT.format(self.engine) if engine else STATE)
        if self.execute(clean, b"", "-o", "ConnectTimeout=10").status:
            if self.fleet.answers(self.name):
                self.sh(clean)
            else:
                self.fleet.renew(self.name)


def digest_of(*jobs: dict[str, t.Any]) -> str:
    """Stands for the controller's keyed digest."""
    return f"{hash(json.dumps(jobs, sort_keys=True)) & 0xFFFFFFFFFFFF:x}"


def request_of(*jobs: dict[str, t.Any], digest: str | None = None) -> dict[str, t.Any]:
    named = [{"namespace": job["namespace"], "name": job["name"], "digest": digest or digest_of(job)} for job in jobs]
    return {"op": "prepare", "jobs": named, "assumptions": {}, "check": False, "diff": True, "who": "tests@controller"}


def known(name: str) -> robots.Robot:
    """What the compiler knows of a robot. Of what one reports, this alone makes units differ; some are named after their Debian."""
    systemd = {"systemd": SYSTEMD[name]} if name in SYSTEMD else {}
    return robots.Robot(name, name, capabilities={**robots.ASSUMED_CAPABILITIES, **systemd})


def compiled(robot: str, *texts: str) -> list[dict[str, t.Any]]:
    """The job plans of job files for a fleet of this one robot."""
    jobs, _warnings = reader.load([reader.Source(f"{number}.yml", text) for number, text in enumerate(texts)])
    return plans_for(robot, jobs)


def plans_for(
    robot: str, jobs: t.Sequence[Job], held: t.Any = None, trust_domain: str = "", pods6: str = "", render: Rendering = as_written
) -> list[dict[str, t.Any]]:
    """The job plans for a fleet of this one robot, which has named the ports ``held``. ``pods6``: the network of IPv6 of its pods.
    ``render``: by what templates are rendered.

    What goes to a robot is compiled here, for its systemd: requests of tests assume nothing that the robot could contradict, and units for
    a newer systemd can make process 1 of an older one spin.
    """
    fleet = robots.Fleet((known(robot)._replace(pods6=pods6),), trust_domain)
    placement = place(jobs, fleet)
    known_services = peers.known_services(jobs, fleet, placement)
    found: list[dict[str, t.Any]] = compile_robot(jobs, fleet, placement, robot, known_services, held, render).plan["jobs"]
    return found


def pid(machine: Machine, unit: str) -> str:
    """The main process of a unit; 0 when it has none."""
    return machine.sh(f"systemctl show -p MainPID --value {unit}").strip()


def environment(machine: Machine, unit: str) -> list[str]:
    """What the unit's process really has in its environment."""
    return machine.sh(f"tr '\\0' '\\n' < /proc/$(systemctl show -p MainPID --value {unit})/environ").splitlines()
