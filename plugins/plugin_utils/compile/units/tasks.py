# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of tasks: limits, stop, restart and order; what the driver says stands in between."""

from __future__ import annotations

import re
import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.model.resources import Resources
from ...job.model.task import Task
from ...job.model.vocabulary import Driver, JobType
from .. import helpers, names, systemd
from ..content import environment
from ..drivers import DRIVERS, Directing
from ..drivers.launch import Launch
from ..site import DATA, RUNTIME, Site

# A fork bomb must end inside its task. Nomad and k8s4r have no key for it.
TASKS_MAX = "1024"


# Places where a task finds what it, or another one, has put there: for the robot to look before says nothing.
_WRITTEN_BY_TASKS = (f"{DATA}/", "/tmp/", "/var/tmp/", "/run/")


# systemd's own, where nobody says otherwise.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Unit(t.NamedTuple):
    """A unit with everything that it needs on the robot, in the order in which it is made."""

    name: str
    resources: tuple[dict[str, t.Any], ...]


def task(site: Site, number: int, index: int) -> Unit:
    """The instance `index` of the group's task `number`."""
    spec, path = site.group.tasks[number], f"{site.path}.tasks[{number}]"
    task_id = names.task_id(*site.names, index, spec.name)
    name = names.task_unit(task_id)
    user = runs_as(site, spec, path, site.user)
    variables = environment.of_task(site, spec, path, task_id, index)
    batch = site.job.type is JobType.BATCH
    # In a directory of root's: the task must not be able to point root's hand elsewhere.
    done = f"{site.done}/{task_id}" if batch else None
    inits = [step.unit for step in site.init_steps]
    sections = {
        "Unit": [
            ("Description", systemd.text(f"{site.job.name}/{site.group.name} r{index} {spec.name}")),
            ("PartOf", site.target),
            *after(site, [step.unit for step in site.init_steps if not step.spec.daemon], inits),
            ("StartLimitIntervalSec", "0"),
            *([("ConditionPathExists", f"!{systemd.item(done)}")] if done else []),
        ],
        "Service": [
            ("Type", "exec"),
            *common(site, spec, path, task_id, variables, DRIVERS[spec.driver], user, site.user),
            *restart(site, spec, name, done),
        ],
    }
    return Unit(
        name,
        (
            *directories(task_id, user, site.user),
            environment_file(site, task_id, variables),
            plan.unit(name, systemd.unit(sections), run="once" if batch else "always", reads=[env_path(site, task_id)], done=done),
        ),
    )


def after(site: Site, required: t.Sequence[str], wanted: t.Sequence[str]) -> systemd.Directives:
    """Order behind the proxy and the init units; the proxy is awaited but never required."""
    before = [*([site.proxy] if site.proxy else []), *wanted]
    lines = [("Requires", " ".join(required))] if required else []
    soft = [unit for unit in before if unit not in required]
    return [*lines, *([("Wants", " ".join(soft))] if soft else []), *([("After", " ".join(before))] if before else [])]


# Keys and sockets of others hang on these users.
_RESERVED = re.compile(r"k8s4r-.*|spire-agent|spire-server")


def runs_as(site: Site, spec: Task, path: str, default: str) -> str:
    """The user of a task: the one it names, but none that identities or other groups' files hang on."""
    if spec.user and _RESERVED.fullmatch(spec.user):
        remedy = "leave user out, or name a user of the robot's own"
        site.error(f"{path}.user", f"{spec.user} belongs to a group, a proxy or SPIRE", remedy)
    return spec.user or default


def env_path(site: Site, task_id: str) -> str:
    return f"{site.configuration}/env/{task_id}.env"


def environment_file(site: Site, task_id: str, variables: t.Mapping[str, str]) -> dict[str, t.Any]:
    """Root's alone: systemd reads it and hands it on. All of it is treated as secret."""
    return plan.file(env_path(site, task_id), systemd.environment_file(variables), mode="0600", secret=True)


def directories(task_id: str, user: str, group: str) -> tuple[dict[str, t.Any], ...]:
    root = environment.task_directory(task_id)
    return (
        # Root's: whoever may rename `secrets` may put a link there, and systemd would mount over what it points to.
        plan.directory(root, "root", group, "0750", data=True),
        plan.directory(f"{root}/local", user, group, "0750", data=True),
        plan.directory(f"{root}/secrets", user, group, "0700", data=True),
        plan.directory(f"{root}/logs", user, group, "0750", data=True),
    )


def argv(site: Site, spec: Task, path: str, directory: str, variables: t.Mapping[str, str]) -> tuple[str, ...]:
    """The command and its arguments; a relative path is one in the task's working directory."""
    config = spec.config.exec_config
    if config is None:
        site.error(f"{path}.config", "execConfig is missing", f"the driver {spec.driver.value} needs it")
        return ("/bin/false",)
    where = f"{path}.config.execConfig"
    texts = {f"{where}.command": config.command, **{f"{where}.args[{number}]": arg for number, arg in enumerate(config.args)}}
    program, *arguments = (_argument(site, text, place, variables) for place, text in texts.items())
    if not program or program[0] in "-@:+!|" or "=" in program:
        site.error(
            f"{where}.command", f"{program!r} cannot be a program: it is empty, begins with one of -@:+!| or has a =", "wrap it in /bin/sh"
        )
    if "/" in program and not program.startswith("/"):
        program = f"{directory}/local/{program}"
    else:
        search = "" if "/" in program else _search(spec, variables)
        if not any(place.startswith(_WRITTEN_BY_TASKS) for place in (search or program).split(":")):
            site.programs.setdefault((program, search), f"{where}.command")
    return (program, *arguments)


def _search(spec: Task, variables: t.Mapping[str, str]) -> str:
    """Where a bare name is looked up: for raw_exec by systemd itself, for exec by `env` in the task's own PATH."""
    return variables.get("PATH", PATH) if spec.driver is Driver.EXEC else PATH


def _argument(site: Site, text: str, path: str, variables: t.Mapping[str, str]) -> str:
    argument = site.text(text, path, variables)
    if isinstance(argument, Secret):
        site.error(path, "a secret would be seen by everyone who lists processes", "put it into env")
    return argument


def common(
    site: Site,
    spec: Task,
    path: str,
    task_id: str,
    variables: t.Mapping[str, str],
    driver: Directing,
    user: str,
    group: str,
    wrapper: tuple[str, ...] = (),
) -> systemd.Directives:
    """What every service unit of a task has: its place, its driver's commands, its limits and how it is stopped.

    `wrapper` is a command that is given the task's own as its arguments.
    """
    directory = environment.task_directory(task_id)
    loader = {name: variables[name] for name in environment.loader_variables(variables)}
    for variable, value in loader.items():
        if isinstance(value, Secret):
            site.error(f"{path}.env.{variable}", "a variable of the dynamic loader cannot be a secret", "write it in the clear")
    launch = Launch(
        argv=(*wrapper, *argv(site, spec, path, directory, variables)),
        user=user,
        group=group,
        directory=directory,
        shared=(site.alloc, *([site.done] if site.job.type is JobType.BATCH else [])),
        tmp=site.tmp,
        runtime=f"{RUNTIME.removeprefix('/run/')}/secrets/{task_id}",
        environment_file=env_path(site, task_id),
        loader=loader,
    )
    return [
        ("Slice", site.slice),
        ("SyslogIdentifier", systemd.text(spec.name)),
        ("WorkingDirectory", systemd.item(f"{directory}/local")),
        *driver(launch),
        *limits(spec.resources),
        *stop(spec),
    ]


def limits(resources: Resources | None) -> systemd.Directives:
    """Hard limits of a service or slice. No swap beside the memory: a robot's flash is not its memory."""
    lines = [("CPUAccounting", "yes"), ("MemoryAccounting", "yes"), ("TasksAccounting", "yes")]
    if resources and resources.cpu:
        lines.append(("CPUQuota", f"{resources.cpu / 10:g}%"))
    if resources and resources.memory:
        lines += [("MemoryMax", str(int(resources.memory))), ("MemorySwapMax", "0")]
    return lines


def stop(spec: Task) -> systemd.Directives:
    """The signal goes to every process of the task, and SIGKILL to what is left."""
    lines = [("KillSignal", spec.kill_signal), ("KillMode", "control-group"), ("TimeoutStopSec", systemd.seconds(spec.kill_timeout))]
    return [*lines, ("TasksMax", TASKS_MAX)]


def restart(site: Site, spec: Task, name: str, done: str | None) -> systemd.Directives:
    """Restarts as the policy says. Without a policy there is no limit: no other robot can take the task over, so
    giving up would help nobody.
    """
    policy = site.restart_policy(spec)
    lines = [("Restart", "on-failure" if done else "always"), ("RestartSec", systemd.seconds(policy.delay if policy else 5.0))]
    if spec.timeout:
        lines.append(("RuntimeMaxSec", systemd.seconds(spec.timeout)))
    if policy:
        arguments = (name, str(policy.attempts), str(int(policy.interval)), policy.mode.value, site.job.type.value)
        lines.append(("ExecStopPost", systemd.as_root((*site.helper(helpers.RESTART_POLICY), *arguments))))
    if done:
        lines.append(("ExecStopPost", systemd.as_root((*site.helper(helpers.MARK_FINISHED), done))))
    return lines
