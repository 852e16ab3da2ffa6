# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of the tests: a task that is one, and what is known of those on a robot."""

from __future__ import annotations

import typing as t

from tests.integration.compile.jobs import plans
from tests.integration.engine.harness import Machine

# What fails is not waited for, and what is well not for long. On a busy machine, containers take seconds to begin.
SOON = {"minHealthyTime": "500ms", "healthyDeadline": "120s"}


def box(script: str = "exec sleep 1000", image: str = "look:1", **keys: t.Any) -> dict[str, t.Any]:
    """A task that is a script in a container; what begins with a capital letter is of dockerConfig."""
    of_config = {name[0].lower() + name[1:]: keys.pop(name) for name in list(keys) if name[0].isupper()}
    config = {"image": image, "command": "/bin/sh", "args": ["-c", script], **of_config}
    # As process 1, a program that does nothing for SIGTERM does not end of it.
    return {"name": "t", "driver": "docker", "config": {"dockerConfig": config}, "killSignal": "SIGKILL", **keys}


def job(
    machine: Machine, *tasks: dict[str, t.Any], group: dict[str, t.Any] | None = None, secret: dict[str, str] | None = None, **keys: t.Any
) -> dict[str, t.Any]:
    """``secret``: variables of the first task. ``group`` and ``keys``: of the group and the job."""
    update = {} if keys.get("type") == "batch" else {"update": SOON}
    groups = [{"name": "g", "tasks": tasks, **(group or {})}]
    (plan,) = plans(machine, {"name": "box", "taskGroups": groups, **update, **keys}, secret=secret)
    return plan


def deployed(machine: Machine, *tasks: dict[str, t.Any], **keys: t.Any) -> dict[str, t.Any]:
    plan = job(machine, *tasks, **keys)
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    return plan


def unit(machine: Machine, name: str = "box-g-r0-t") -> str:
    return machine.sh(f"systemctl list-units --all --plain --no-legend 'k8s4r-task-{name}-*.service' | cut -d' ' -f1").strip()


def said(machine: Machine, text: str, stream: str = "stdout") -> str:
    """The task's log, once it has this text."""
    file = f"/var/lib/k8s4r/tasks/box-g-r0-t-*/logs/{stream}.log"
    machine.until(f"grep -q '{text}' {file}")
    return machine.sh(f"cat {file}")


class Engine(t.NamedTuple):
    """Who runs the containers; `name` is both its command and the driver."""

    name: str

    def box(self, *words: str, **keys: t.Any) -> dict[str, t.Any]:
        return box(*words, driver=self.name, **keys)

    def containers(self, machine: Machine) -> list[str]:
        return machine.sh(f"{self.name} ps --no-trunc --format '{{{{.ID}}}}'").split()

    def nothing_runs(self, machine: Machine) -> None:
        machine.until("! pgrep -x sleep >/dev/null")
        machine.until(f"{self.name} info >/dev/null 2>&1")
        machine.until(f'[ -z "$({self.name} ps -aq)" ]')


DOCKER, PODMAN = Engine("docker"), Engine("podman")
containers, nothing_runs = DOCKER.containers, DOCKER.nothing_runs
