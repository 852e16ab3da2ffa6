# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as the compiler makes them, small."""

from __future__ import annotations

import typing as t

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan

SLEEP = "/bin/sleep infinity"
# An init unit that is at it for as long as a test wants.
WAITING = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'until [ -e /run/goes-on ]; do sleep 0.1; done'\n"


def service(command: str, before: str = "", extra: str = "") -> str:
    """A unit file."""
    return f"[Unit]\nDescription=test\n{before}\n[Service]\nType=exec\nExecStart={command}\nRestart=always\nRestartSec=1\n{extra}\n"


class Group:
    """A group with a user, directories, an environment file per task, a target and one service per task."""

    def __init__(self, name: str = "web") -> None:
        self.id = name
        self.name = name
        self.tasks: dict[str, tuple[str, str]] = {"main": (SLEEP, "A=1")}
        self.ports: list[dict[str, t.Any]] = []
        self.needs: list[dict[str, t.Any]] = []
        self.checks: list[dict[str, t.Any]] = []
        self.programs: list[dict[str, t.Any]] = []
        self.secrets: list[str] = []
        self.more: list[dict[str, t.Any]] = []
        self.extra = ""

    @property
    def user(self) -> str:
        return f"k8s4r-{self.id}"

    def unit(self, task: str) -> str:
        return f"k8s4r-task-{self.id}-{task}.service"

    @property
    def target(self) -> str:
        return f"k8s4r-group-{self.id}.target"

    def env(self, task: str) -> str:
        return f"/etc/k8s4r/groups/{self.id}/env/{task}.env"

    def data(self, task: str) -> str:
        return f"/var/lib/k8s4r/tasks/{self.id}-{task}"

    def relations(self, _task: str) -> str:
        """What the unit of a task says of other units."""
        return f"PartOf={self.target}"

    def resources(self) -> list[dict[str, t.Any]]:
        """In the order in which they are made."""
        found = [
            plan.user(self.user, f"group {self.name}"),
            plan.directory(f"/etc/k8s4r/groups/{self.id}"),
            plan.directory(f"/etc/k8s4r/groups/{self.id}/env", mode="0700"),
        ]
        for task, (command, env) in self.tasks.items():
            found.append(plan.directory(self.data(task), self.user, self.user, "0750", data=True))
            found.append(plan.file(self.env(task), env + "\n", mode="0600", secret=bool(self.secrets)))
            extra = f"User={self.user}\nWorkingDirectory={self.data(task)}\nEnvironmentFile={self.env(task)}\nSlice=k8s4r-{self.id}.slice"
            content = service(command, self.relations(task), f"{extra}\n{self.extra}")
            found.append(plan.unit(self.unit(task), content, run="always", reads=[self.env(task)]))
        found += self.more
        running = [each["name"] for each in found if each["kind"] == "unit" and each["run"] != "none"]
        wants = "".join(f"Wants={unit}\n" for unit in running)
        found.append(plan.unit(self.target, f"[Unit]\nDescription=group\n{wants}", run="always"))
        found.append(plan.link(f"/etc/systemd/system/multi-user.target.wants/{self.target}", f"../{self.target}"))
        return found

    def plan(self) -> dict[str, t.Any]:
        return plan.group(
            self.id,
            self.name,
            self.resources(),
            checks=self.checks,
            needs=self.needs,
            programs=self.programs,
            ports=self.ports,
            secrets=self.secrets,
        )


def job(*groups: Group, name: str = "shop") -> dict[str, t.Any]:
    """The job plan of these groups."""
    return plan.job("default", name, [group.plan() for group in groups])
