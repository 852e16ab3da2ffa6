# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what a task's templates have become gets into the task's directories: at each start, and while it runs."""

from __future__ import annotations

import json
import typing as t

from .....module_utils._engine import plan
from ....job.errors import Problem
from ....job.model.task import Task
from ....job.model.vocabulary import Sharing
from ....job.rules.tasks import SYSTEMD
from ... import helpers, systemd
from ...content import container, environment, templates
from ...content.checks import as_the_task
from ...content.substitution import command_line
from ...content.templates import Rendered
from ...helpers import Call
from ...isolation import sharing
from ...site.placed import PlacedTask
from ...site.site import Site
from .. import signals

if t.TYPE_CHECKING:
    from .....module_utils._engine.plan import Resource, Script, Told


def resources(site: Site, task: PlacedTask[Task], found: t.Sequence[Rendered]) -> tuple[Resource, ...]:
    """What the texts are kept in, which root alone can read, and the list by which they are put in place."""
    if not task.spec.templates:
        return ()
    listing: dict[str, t.Any] = {"user": task.user, "group": task.group}
    # A template of a former release may have been in a directory that no other one is in.
    listing |= {"placed": templates.placed_of(task), "rooms": {"local": f"{task.directory}/local", "alloc": site.alloc}}
    listing["templates"] = [_listed(site, task, each) for each in found if each.place]
    variables = templates.watched_variables(task, found)
    if variables:
        # Root's programs in the unit would obey the loader's.
        listing |= {"variables": variables, "refused": "|".join((environment.LOADER.pattern, *sorted(SYSTEMD)))}
    texts = [_text(site, task, each) for each in found]
    listed = json.dumps(listing, sort_keys=True, separators=(",", ":")) + "\n"
    return (
        plan.directory(templates.folder(site, task), mode="0700"),
        *texts,
        plan.file(templates.listing_of(site, task), listed, mode="0600", label="templates"),
    )


def _text(site: Site, task: PlacedTask[Task], each: Rendered) -> Resource:
    # Variables are in the task's environment as well, which no turn of a switch holds: both would not change at once.
    held, hosts = ((), ()) if each.template.env else (each.services, each.hosts)
    path, label = templates.source_of(site, task, each.template), f"template {'/'.join(each.place)}"
    made = plan.file(path, each.text, mode="0600", secret=True, label=label, follows=" ".join(held))
    if each.services:
        made["saw"] = dict(each.services)
    return {**made, "knows": list(hosts)} if hosts else made


def _listed(site: Site, task: PlacedTask[Task], each: Rendered) -> dict[str, t.Any]:
    """What the program needs to know that puts it in place."""
    template, (room, *path) = each.template, each.place
    # The directories themselves, and not the places at which the task finds them.
    bases = {"local": f"{task.directory}/local", "secrets": task.filled, "alloc": site.alloc}
    return {
        "from": templates.result_of(site, task, each),
        "base": bases[room],
        "path": path,
        "called": "/".join(each.place),
        "owner": template.owner or task.user,
        "mode": template.perms,
        **({"variables": True} if each.watched and template.env else {}),
        "signal": signals.number(template.change_signal) if template.change_signal else 0,
    }


def scripts(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> tuple[Told | None, list[Problem]]:
    """What runs beside the task when a text has changed, by the files of the plan, and how; None where nothing does. And what is wrong."""
    found: dict[str, Script] = {}
    errors: list[Problem] = []
    for number, template in enumerate(task.spec.templates):
        script = template.change_script
        if script:
            path = f"{task.path}.templates[{number}].changeScript"
            argv, wrong = command_line(site, path, script.command, script.args, variables)
            errors += wrong
            found[templates.source_of(site, task, template)] = {"name": template.dest_path, "argv": argv, "timeout": float(script.timeout)}
    return ({"run": as_the_task(task), "scripts": found} if found else None), errors


def calls(site: Site, task: PlacedTask[Task]) -> list[Call]:
    """What puts them there at a start, and then what does so while the task runs, if there is any such change."""
    if not task.spec.templates:
        return []
    listing = templates.listing_of(site, task)
    refresh = [Call(helpers.PLACE_TEMPLATES, (listing, *_whom(site, task)))] if templates.refreshes(site, task) else []
    return [Call(helpers.PLACE_TEMPLATES, (listing,)), *refresh]


def _whom(site: Site, task: PlacedTask[Task]) -> tuple[str, ...]:
    """Who gets a signal, as the helper wants to know it."""
    if task.spec.contained:
        return "container", f"/run/{container.runtime(task)}", container.slice_of(site, task)
    # Among the robot's processes, the unit's main one is the program itself.
    return ("main",) if sharing.shares(task.spec).pid is Sharing.HOST else ("inside",)


def directives(site: Site, task: PlacedTask[Task]) -> systemd.Directives:
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = (("ExecStartPre", ()), ("ExecReload", ("MAINPID",)))
    return [(name, systemd.as_root(call.command(site.bin), kept)) for (name, kept), call in zip(kinds, calls(site, task), strict=False)]
