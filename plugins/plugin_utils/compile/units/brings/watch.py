# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rendered on the robot with what Consul knows, and again when that changes: by a consul-template of the robot's own, in a unit.

https://github.com/hashicorp/consul-template/blob/main/docs/configuration.md has the keys of its configuration.
"""

from __future__ import annotations

import json
import typing as t

from .....module_utils._engine import plan
from ....job.model.task import Task
from ....job.model.vocabulary import ChangeMode
from ... import helpers, names, paths, systemd
from ...content import templates
from ...content.environment import Environment
from ...content.templates import Rendered
from ...helpers import Call
from ...site.placed import PlacedTask
from ...site.site import Site

if t.TYPE_CHECKING:
    from .....module_utils._engine.plan import Expected, Program, Resource

PROGRAM = "consul-template"
# How long the first rendering may take, for whatever needs the result.
SECONDS = 10
MEMORY_MAX = 128 * 2**20
# How long telling a task may take: it waits until the task has started. consul-template by itself would give up after 30 s. At the end
# of this time, its unit starts it again.
TOLD_SECONDS = 3600
# Whatever PATH a task has.
_ENV = ("/usr/bin/env", f"PATH={paths.SEARCH}")
# These would read files and run programs as root.
_DENIED = ("file", "plugin", "writeToFile")


class Text(t.NamedTuple):
    """A text: where it is, where the result goes, with which mode, and what runs when that has changed."""

    source: str
    result: str
    mode: str = "0600"
    left: str = "{{"
    right: str = "}}"
    command: tuple[str, ...] = ()


class Watch(t.NamedTuple):
    """Renders the texts of a task, or of a proxy. `order` is for the unit of whoever needs the results."""

    resources: tuple[Resource, ...] = ()
    programs: tuple[Program, ...] = ()
    expects: tuple[Expected, ...] = ()
    helpers: frozenset[helpers.Helper] = frozenset()
    order: systemd.Directives = ()


class Variables(t.NamedTuple):
    """What the texts know: the file with a task's variables, and those of them that root's programs would obey."""

    file: str
    loader: t.Collection[str]


class Order(t.NamedTuple):
    """What is to be rendered, and for whom.

    `id`: of the task, or of the group or pod of a proxy, and `called` what people call it. `home`: where consul-template's own files
    begin. `results`: the directory for what is rendered. `asks`: what asks Consul, `templates` or `upstreams`, and `path` the job file's
    path of it.
    """

    id: str
    called: str
    home: str
    results: Resource
    texts: t.Sequence[Text]
    asks: str
    path: str
    variables: Variables | None = None

    @property
    def once(self) -> str:
        """The configuration of the first rendering."""
        return f"{self.home}.once.json"

    @property
    def always(self) -> str:
        """The one of all others."""
        return f"{self.home}.watch.json"

    @property
    def sources(self) -> list[str]:
        """The files that are read."""
        return [*(text.source for text in self.texts), *([self.variables.file] if self.variables else [])]


def of_task(site: Site, task: PlacedTask[Task], environment: Environment) -> Watch:
    """For the templates of a task that ask Consul; nothing where none does."""
    watched = [each for each in environment.templates if each.watched and each.place]
    if not watched:
        return Watch()
    texts = [
        Text(
            templates.source_of(site, task, each.template),
            templates.result_of(site, task, each),
            left=each.template.left_delim,
            right=each.template.right_delim,
            command=_told(site, task, each),
        )
        for each in watched
    ]
    return watch(
        site,
        Order(
            id=task.id,
            called=task.called,
            home=templates.folder(site, task),
            results=plan.directory(templates.watched_in(task), mode="0700", data=True),
            texts=texts,
            asks="templates",
            path=watched[0].path,
            variables=Variables(task.environment_file, environment.loader),
        ),
    )


def _told(site: Site, task: PlacedTask[Task], each: Rendered) -> tuple[str, ...]:
    """A task that runs to its end is told nothing; the next time it finds the file."""
    if task.spec.runs_to_its_end:
        return ()
    if each.template.change_mode is ChangeMode.RESTART:
        return "systemctl", "--no-block", "try-restart", task.unit
    return Call(helpers.TELL_TASK, (task.unit,)).command(site.bin)


def watch(site: Site, order: Order) -> Watch:
    """What a consul-template needs on the robot: its files, its unit, and what is expected there."""
    name, where = names.watch_unit(order.id), site.where(order.path)
    once = _configuration([_once(text) for text in order.texts])
    always = _configuration(order.texts, settles={"wait": {"min": "500ms", "max": "5s"}})
    reads = [order.once, order.always, *order.sources]
    tells = [helpers.TELL_TASK] if any(helpers.TELL_TASK.path(site.bin) in text.command for text in order.texts) else []
    return Watch(
        resources=(
            order.results,
            plan.file(order.once, once, mode="0600"),
            plan.file(order.always, always, mode="0600"),
            plan.unit(name, _unit(site, order), run="always", reads=reads, called=f"{order.called} {PROGRAM}"),
        ),
        programs=(plan.program(PROGRAM, where, paths.SEARCH),),
        expects=(plan.expected("consul", order.asks, where),),
        helpers=frozenset((helpers.RENDER_ONCE, *tells)),
        order=(("Wants", name), ("After", name)),
    )


def _unit(site: Site, order: Order) -> str:
    variables, directory = order.variables, order.results["path"]
    first = Call(helpers.RENDER_ONCE, (order.once, f"{directory}/.rendered", f"{SECONDS}", *order.sources))
    return systemd.unit(
        {
            "Unit": [
                ("Description", systemd.text(site.title(order.called, PROGRAM))),
                ("PartOf", site.target),
                ("After", "network.target consul.service"),
                ("StartLimitIntervalSec", "0"),
            ],
            "Service": [
                *systemd.started(site.robot.systemd),
                ("Slice", plan.ROOT_SLICE),
                ("SyslogIdentifier", PROGRAM),
                *([("EnvironmentFile", systemd.item(variables.file))] if variables else []),
                *([("UnsetEnvironment", " ".join(sorted(variables.loader)))] if variables and variables.loader else []),
                ("ExecStartPre", systemd.command((*_ENV, *first.command(site.bin)))),
                ("ExecStart", systemd.command((*_ENV, PROGRAM, "-config", order.always))),
                ("TimeoutStartSec", f"{SECONDS + 15}s"),
                ("Restart", "always"),
                ("RestartSec", "1s"),
                # It ends on SIGINT, its kill_signal; SIGTERM it only passes on.
                ("KillSignal", "SIGINT"),
                ("TimeoutStopSec", "10s"),
                ("CPUAccounting", "yes"),
                ("MemoryAccounting", "yes"),
                ("MemoryMax", f"{MEMORY_MAX}"),
                ("TasksMax", "64"),
                ("CapabilityBoundingSet", ""),
                *systemd.confined("AF_UNIX AF_INET AF_INET6", writable=directory),
            ],
        }
    )


def _once(text: Text) -> Text:
    """Rendered the first time, with nobody who could be told of it yet, and where `render_once.sh` takes it from when all are there."""
    directory, _slash, name = text.result.rpartition("/")
    return text._replace(result=f"{directory}/once/{name}", command=())


def _configuration(texts: t.Sequence[Text], settles: t.Mapping[str, t.Any] | None = None) -> str:
    """Of consul-template. Changes that come together are one, where it `settles`."""
    # It goes on trying, and what is there stays.
    retry = {"attempts": 0, "backoff": "250ms", "max_backoff": "10s"}
    told = [{**_text(text), **(_command(text.command) if text.command else {})} for text in texts]
    found = {"consul": {"retry": retry}, "log_level": "warn", "template": told, **(settles or {})}
    return json.dumps(found, sort_keys=True, indent=1) + "\n"


def _command(command: t.Sequence[str]) -> dict[str, t.Any]:
    return {"command": list(command), "command_timeout": f"{TOLD_SECONDS}s"}


def _text(text: Text) -> dict[str, t.Any]:
    return {
        "source": text.source,
        "destination": text.result,
        "perms": text.mode,
        "left_delimiter": text.left,
        "right_delimiter": text.right,
        "create_dest_dirs": False,
        "function_denylist": list(_DENIED),
    }
