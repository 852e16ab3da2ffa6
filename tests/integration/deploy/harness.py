# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of jobs that stand in a test, and what they left on the robots."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

from tests.integration.engine.harness import Machine
from tests.integration.provision.harness import Ansible, Run
from tests.robots import Fleet

ROBOTS = ("robot1", "robot2")
# Every file that the collection may have written, with its content's digest, and every unit of ours with its state.
FOOTPRINT = (
    "find /etc /var/lib/k8s4r /opt /run/k8s4r /root -xdev -type f \\( -path '*k8s4r*' -o -path '/root/.ansible*' \\) "
    "! -path '*/engine/*' -exec sha256sum {} + 2>/dev/null | sort -k2; "
    # A worker has told its result before systemd has seen its end.
    "systemctl list-units --all --plain --no-legend 'k8s4r*' | awk '!/^k8s4r-(switch|prepare)-/ {print $1, $3, $4}'"
)

# One that fails is not tried again, so that nobody waits for it. (In tests/integration/lifecycle, it is.)
SLEEPER = """
name: {name}
type: system
taskGroups:
  - name: web
    tasks:
      - name: main
        config: {{execConfig: {{command: /bin/sh, args: [-c, {script}]}}}}
        resources: {{cpu: 100m, memory: 32Mi}}
        env:
          VALUE: {value}
    restartPolicy: {{attempts: 0, mode: fail}}
"""


def sleeper(name: str = "hello", value: str = "one", script: str = "exec sleep infinity") -> str:
    """A job that runs one process on every robot."""
    return SLEEPER.format(name=name, value=value, script=script)


class Deployment(Ansible):
    """Jobs deployed to a fleet whose robots are looked at from outside."""

    def __init__(self, fleet: Fleet, directory: pathlib.Path) -> None:
        super().__init__(fleet)
        self.directory = directory

    def job(self, text: str, name: str = "job.yml") -> str:
        """A job file's name, relative to where the playbooks are started."""
        (self.directory / name).write_text(text, encoding="utf-8")
        return name

    def deploy(self, text: str, *arguments: str, **variables: t.Any) -> Run:
        return self.run("k8s4r.robot.deploy_taskgroup", *arguments, job=self.job(text), **variables)

    def remove(self, *arguments: str, **variables: t.Any) -> Run:
        return self.run("k8s4r.robot.remove_taskgroup", *arguments, **variables)

    def lose_spire_server(self) -> None:
        """From now on, the inventory has a machine of the SPIRE server that is off."""
        inventory = json.loads(self.fleet.inventory.read_text())
        inventory["all"]["children"]["spire_server"]["hosts"] = {"hub": {"ansible_host": "127.0.0.1", "ansible_port": 1}}
        self.inventory = self.directory / "away.json"
        self.inventory.write_text(json.dumps(inventory))

    def sh(self, robot: str, command: str) -> str:
        return Machine(self.fleet, robot).sh(command)

    def footprint(self, robot: str) -> str:
        """All that there is of ours on a robot, but for the engine."""
        return self.fleet.console(robot, FOOTPRINT, check=False)

    def value(self, robot: str) -> str:
        """VALUE in the environment of the task that runs on a robot, whatever of it is about to end."""
        found = self.sh(robot, "for p in $(pgrep -x sleep); do tr '\\0' '\\n' </proc/$p/environ; done 2>/dev/null | sed -n /^VALUE=/p")
        return found.strip().rpartition("\n")[2].removeprefix("VALUE=")

    def clean(self) -> None:
        for robot in ROBOTS:
            Machine(self.fleet, robot).clean()


def lines_of(run: Run, task: str) -> list[str]:
    """What Ansible printed of one task, a line per robot; of all times, where a run came to it more than once."""
    sections = re.findall(rf"^TASK \[{re.escape(task)}\] \*+\n(.*?)(?=^(?:TASK|PLAY) |\Z)", run.output, re.MULTILINE | re.DOTALL)
    return [line for section in sections for line in section.splitlines() if line]
