# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task downloads, as the engine fetches it (_engine/fetch/sources.py)."""

from __future__ import annotations

import json
import posixpath
import re
import typing as t

from ....module_utils._engine import plan
from ...job.declare.keys import Secret
from ...job.errors import Mistake, Problem, child
from ...job.getters import Getter, parsed
from ...job.model.brings.artifacts import Artifact
from ...job.model.task import Task
from ...job.model.vocabulary import GetterMode
from ...job.rules.brings import artifacts as rules
from ...job.substitution import has_names
from ..site.placed import PlacedTask
from ..site.site import Site
from .substitution import substituted

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource

# The variables that name these directories to the task.
_VARIABLES = {"local": "NOMAD_TASK_DIR", "alloc": "NOMAD_ALLOC_DIR"}
# Anything shorter is hardly a secret, and would be hidden wherever it occurs in a text.
_SHORTEST = 8
# The end of an address that no robot has (RFC 2606). It stands for any robot, and the values of its names need not make sense.
NOWHERE = ".invalid"


class Artifacts(t.NamedTuple):
    """The resource with all artifacts of a task, if it has any; their secrets; and what is wrong with them."""

    resources: tuple[Resource, ...] = ()
    secrets: frozenset[str] = frozenset()
    errors: tuple[Problem, ...] = ()

    @property
    def reads(self) -> list[str]:
        """The files whose change restarts the task."""
        return [resource["path"] for resource in self.resources]


def place(task: PlacedTask[Task]) -> str:
    """What a task's artifacts are called among the resources."""
    return f"{task.directory}/artifacts"


def compiled(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> Artifacts:
    """The artifacts of a task; `variables` are those of its environment."""
    if not task.spec.artifacts:
        return Artifacts()
    found: list[dict[str, t.Any]] = []
    secrets: set[str] = set()
    errors: list[Problem] = []
    for number, artifact in enumerate(task.spec.artifacts):
        one = _One(site, task, artifact, f"{task.path}.artifacts[{number}]", variables)
        source = one.source()
        errors += one.errors
        secrets |= one.secrets
        if source:
            found.append(source)
    content, where = json.dumps(found, sort_keys=True), site.where(f"{task.path}.artifacts")
    resource = plan.artifacts(place(task), task.called, content, task.user, site.user, where, secret=True)
    return Artifacts((resource,), frozenset(secret for secret in secrets if secret), tuple(errors))


def file_at(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str], place: str) -> tuple[dict[str, t.Any] | None, bool]:
    """The artifact that is a file at this path of the robot, and whether all of them are known; one that is unpacked may be anything."""
    ones = [_One(site, task, each, f"{task.path}.artifacts[{number}]", variables) for number, each in enumerate(task.spec.artifacts)]
    sources = [one.source() for one in ones]
    files = [each for each in sources if each and each["get"] != "git" and not each["archive"] and _path(each) == posixpath.normpath(place)]
    # A later one replaces what was there.
    return (files[-1] if files else None), all(sources)


def _path(source: t.Mapping[str, t.Any]) -> str:
    to: str = source["to"]
    return to if source["mode"] == GetterMode.FILE.value else posixpath.join(to, source["name"])


class _One:
    """One artifact on its way into the plan."""

    def __init__(self, site: Site, task: PlacedTask[Task], artifact: Artifact, path: str, variables: t.Mapping[str, str]) -> None:
        self.site = site
        self.task = task
        self.artifact = artifact
        self.path = path
        self.variables = variables
        self.errors: list[Problem] = []
        self.secrets: set[str] = set()

    def source(self) -> dict[str, t.Any] | None:
        address = self._text(self.artifact.getter_source, f"{self.path}.getterSource")
        options = self._texts(self.artifact.getter_options, f"{self.path}.getterOptions")
        headers = self._texts(self.artifact.headers, f"{self.path}.headers")
        to = self._to()
        self.secrets |= {value for value in headers.values() if len(value) >= _SHORTEST}
        for name, value in headers.items():
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                self._problem(child(f"{self.path}.headers", name), Mistake("an HTTP header cannot contain a newline", "remove it"))
        if self.errors:
            return None
        try:
            getter = parsed(address, options)
        except Mistake as mistake:
            if self.site.robot.address.endswith(NOWHERE) and any(map(has_names, self._written())):
                return None
            self._problem(f"{self.path}.getterSource", mistake)
            return None
        for path, found in rules.agreement(getter, self.artifact, self.path):
            self._problem(path, found)
        if getter.token:
            headers = {**headers, "X-Amz-Security-Token": getter.token}
        self.secrets |= {getter.password, getter.key, getter.token}
        return self._described(getter, headers, to, hidden=isinstance(address, Secret) or self.site.job.opaque)

    def _written(self) -> list[str]:
        return [self.artifact.getter_source, *self.artifact.getter_options.values()]

    def _described(self, getter: Getter, headers: t.Mapping[str, str], to: str, hidden: bool) -> dict[str, t.Any]:
        """As the engine fetches it. One whose address is `hidden` is called by its number."""
        shown = self.path.rpartition(".")[2] if hidden else getter.shown
        described = getter._asdict()
        del described["token"]
        return {**described, "headers": dict(headers), "mode": self.artifact.getter_mode.value, "to": to, "shown": shown}

    def _to(self) -> str:
        """The path on the robot."""
        where = f"{self.path}.relativeDest"
        text = self._text(self.artifact.relative_dest, where)
        for name in ("local", "alloc"):
            # In a container, the task finds it elsewhere.
            place = self.variables.get(_VARIABLES[name], self._place(name))
            if text == place or text.startswith(place + "/"):
                text = name + text[len(place) :]
        mistake = rules.destination(text, self.artifact.getter_mode)
        if mistake:
            self._problem(where, mistake)
            return ""
        first, *rest = [part for part in text.split("/") if part not in ("", ".")]
        named = "/".join([self._place(first), *rest])
        if self.artifact.getter_mode is GetterMode.FILE and text.endswith("/"):
            self._problem(where, Mistake("with getterMode: file, this is the path of the file", "add the file's name", value=text))
        return named

    def _place(self, name: str) -> str:
        return self.site.alloc if name == "alloc" else f"{self.task.directory}/{name}"

    def _text(self, text: str, where: str) -> str:
        replaced, errors = substituted(self.site, text, where, self.variables)
        self.errors += errors
        if isinstance(replaced, Secret):
            self.secrets |= {str(text), str(replaced)} if isinstance(text, Secret) else {str(replaced)}
        return replaced

    def _texts(self, texts: t.Mapping[str, str], where: str) -> dict[str, str]:
        return {name: self._text(text, child(where, name)) for name, text in texts.items()}

    def _problem(self, path: str, mistake: Mistake) -> None:
        hidden = self.site.job.opaque
        self.errors.append(self.site.problem(path, mistake.message(hidden), mistake.way_out(hidden)))
