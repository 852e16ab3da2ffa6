# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of a task: their rendered texts, and where these are kept until a program puts them into the task's directories."""

from __future__ import annotations

import re
import typing as t

from ...job.declare.keys import Secret
from ...job.errors import Problem, quoted
from ...job.model.brings.templates import LONGEST_PATH, ROOMS, Template, parts
from ...job.model.task import Task
from ...job.model.vocabulary import ChangeMode
from ...job.rules.tasks import SYSTEMD
from .. import lines, names
from ..site.placed import PlacedTask
from ..site.rendering import LookedUp, Unrendered, Watched
from ..site.site import Site
from .substitution import names_of_robot, substituted

# Names of the robot that are no variables.
_OF_ROBOT = re.compile(r'\b(?:env|envOrDefault|mustEnv)\s+["`]((?:node|attr|meta)\.[^"`]*)["`]')
# The variables that name these directories to the task; in a container they have other values.
_DIRECTORIES = {"local": "NOMAD_TASK_DIR", "secrets": "NOMAD_SECRETS_DIR", "alloc": "NOMAD_ALLOC_DIR"}


class Rendered(t.NamedTuple):
    """A template of a task: `path` is where it is written in the job file, `place` the components of its destination. `services` are
    those that it has looked up, by their full names, each with the digest of what was found, and `hosts` the addresses.
    """

    template: Template
    path: str
    place: tuple[str, ...]
    text: str
    services: t.Mapping[str, str] = {}
    hosts: tuple[str, ...] = ()

    @property
    def watched(self) -> bool:
        """Whether `text` is what a consul-template of the robot renders."""
        return isinstance(self.text, Watched)


def rendered(site: Site, task: PlacedTask[Task], environment: t.Mapping[str, str]) -> tuple[list[Rendered], list[Problem]]:
    """The task's templates, rendered with the variables of its `environment`, and what is wrong with them."""
    found: list[Rendered] = []
    errors: list[Problem] = []
    # As in Nomad, the function `env` knows these names too.
    visible = {**names_of_robot(site), **environment} if task.spec.templates else {}
    for number, template in enumerate(task.spec.templates):
        path = f"{task.path}.templates[{number}]"
        written, unresolved = substituted(site, template.dest_path, f"{path}.destPath", environment)
        place = () if unresolved else _place(written, environment)
        errors += unresolved
        if isinstance(written, Secret):
            errors.append(site.problem(f"{path}.destPath", "a secret cannot be part of a path", "write another path"))
        elif not place and not unresolved:
            remedy = f"it must be below {', '.join(f'{room}/' for room in ROOMS)}, and at most {LONGEST_PATH} bytes long"
            errors.append(site.problem(f"{path}.destPath", f"{quoted(written)} is not a place for a template", remedy))
        elif any(each.place == place for each in found):
            errors.append(site.problem(f"{path}.destPath", f"{quoted(written)} is also that of another template", "name another file"))
        lookups = _Lookups(site)
        try:
            text = site.render(site, template, visible, lookups)
        except Unrendered as error:
            for each in (error, *error.also):
                problem = site.problem(f"{path}.{each.key}" if each.key else path, str(each), each.remedy)
                errors.append(problem._replace(robots=(site.robot.name,) if each.depends else ()))
        else:
            found.append(Rendered(template, path, place, text, *lookups.found()))
            errors += _unwatched(site, task, found[-1])
    return found, errors


def _unwatched(site: Site, task: PlacedTask[Task], made: Rendered) -> t.Iterator[Problem]:
    """What cannot follow Consul."""
    if made.watched and made.template.env and task.spec.contained:
        remedy = "let the program read the file, or give the variable in the task's env"
        yield site.problem(f"{made.path}.env", "variables of a container cannot follow what is in Consul", remedy)
    if made.watched and made.template.change_mode is ChangeMode.SCRIPT:
        what = "no script runs when something in Consul changes"
        yield site.problem(f"{made.path}.changeMode", what, "write signal, restart or noop")
    # A list of the task's variables alone is given to what renders it.
    for word in sorted(set(_OF_ROBOT.findall(made.text))) if made.watched else ():
        what = f"env does not know {word} in a text that is rendered with what is in Consul"
        yield site.problem(made.path, what, f"give it to the task, as env: {{MY_NAME: '${{{word}}}'}}")


class _Lookups:
    """Looks services up for one template, and remembers what it has found."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._found: list[LookedUp] = []

    def __call__(self, name: str) -> LookedUp:
        self._found.append(self._site.find(self._site, name))
        return self._found[-1]

    def found(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The services, by their full names, and the addresses of their instances."""
        services = {name: digest for found in self._found for name, digest in found.services.items()}
        return dict(sorted(services.items())), tuple(sorted({each["Address"] for found in self._found for each in found.instances}))


def _place(written: str, environment: t.Mapping[str, str]) -> tuple[str, ...]:
    """The components of a destination, which may begin with a directory by the path that the task has for it."""
    for room, name in _DIRECTORIES.items():
        directory = environment.get(name)
        if directory and written.startswith(f"{directory}/"):
            written = room + written[len(directory) :]
    return parts(written)


def of_environment(site: Site, found: t.Iterable[Rendered]) -> tuple[dict[str, str], list[Problem]]:
    """The variables from templates with `env: true`, all secret."""
    all_variables: dict[str, str] = {}
    errors: list[Problem] = []
    for each in found:
        if each.template.env and not each.watched:
            try:
                read = lines.parsed(each.text)
            except lines.Unread as error:
                remedy = "each line is KEY=VALUE, empty or a comment (env: true)"
                errors.append(site.problem(each.path, f"does not render to variables: {error}", remedy))
                continue
            all_variables.update((name, Secret(value)) for name, value in read.items())
            for name in sorted(SYSTEMD.intersection(read)):
                errors.append(
                    site.problem(each.path, f"{name} is a variable of systemd's own, for the commands of a unit", "choose another name")
                )
    return all_variables, errors


def reads(site: Site, task: PlacedTask[Task]) -> list[str]:
    """Files of the plan whose change restarts the task: the list of its templates, and the texts of those with `changeMode: restart`."""
    templates = task.spec.templates
    restarting = [source_of(site, task, each) for each in templates if each.change_mode is ChangeMode.RESTART]
    return [listing_of(site, task), *restarting] if templates else []


def refreshes(site: Site, task: PlacedTask[Task]) -> dict[str, str]:
    """Files of the plan that a running task takes in, each with how it is told. A task that runs to its end takes in none."""
    if task.spec.runs_to_its_end:
        return {}
    return {source_of(site, task, each): _told(each) for each in task.spec.templates if each.change_mode is not ChangeMode.RESTART}


def _told(template: Template) -> str:
    """How a running program is told of a change; empty if it is not."""
    if template.change_mode is ChangeMode.SCRIPT and template.change_script:
        return f"script {template.change_script.command}"
    return f"signal {template.change_signal}" if template.change_mode is ChangeMode.SIGNAL else ""


def fill_secrets(found: t.Iterable[Rendered]) -> bool:
    """Whether any of them is put into the task's `secrets`."""
    return any(each.place[:1] == ("secrets",) for each in found)


def listing_of(site: Site, task: PlacedTask[Task]) -> str:
    return f"{folder(site, task)}.json"


def folder(site: Site, task: PlacedTask[Task]) -> str:
    return f"{site.configuration}/templates/{task.id}"


def source_of(site: Site, task: PlacedTask[Task], template: Template) -> str:
    """Where a rendered text is kept. It is named after the destination as written, which no two templates of a task share."""
    return f"{folder(site, task)}/{names.template(template.dest_path)}"


def result_of(site: Site, task: PlacedTask[Task], each: Rendered) -> str:
    """Where the text is that is put in place: that of the plan, or what has been rendered from it on the robot."""
    return f"{watched_in(task)}/{names.template(each.template.dest_path)}" if each.watched else source_of(site, task, each.template)


def placed_of(task: PlacedTask[Task]) -> str:
    """Where is noted what templates have brought. The directory is root's, and goes with the files."""
    return f"{task.directory}/templates"


def watched_in(task: PlacedTask[Task]) -> str:
    """The directory of what is rendered on the robot. Root alone can read it."""
    return f"{task.directory}/consul"


def watched_variables(task: PlacedTask[Task], found: t.Iterable[Rendered]) -> str:
    """The file with what the robot has rendered as variables; empty where there are none."""
    return f"{watched_in(task)}/variables" if any(each.watched and each.template.env for each in found) else ""
