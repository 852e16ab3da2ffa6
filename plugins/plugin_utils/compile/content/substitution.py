# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of a job, with their `${...}` replaced for one group on one robot."""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

from ...job.declare.keys import Secret
from ...job.errors import Problem, nearest
from ...job.substitution import substitute
from ...job.variables import too_long
from ..site.site import Site

# A variable of a port, with the port's label.
_OF_PORT = re.compile(r"NOMAD_(?:HOST_)?(?:ADDR|IP|PORT)_(\w+)")
_REMEDY = "define it, or remove it from the text"


class _Layers(c.Mapping[str, str]):
    """Several mappings as one: for each name, the first that has it."""

    def __init__(self, layers: t.Sequence[t.Mapping[str, str]]) -> None:
        self._layers = layers

    def __getitem__(self, name: str) -> str:
        for layer in self._layers:
            if name in layer:
                return layer[name]
        raise KeyError(name)

    def __iter__(self) -> t.Iterator[str]:
        return iter({name: None for layer in self._layers for name in layer})

    def __len__(self) -> int:
        return sum(1 for _name in self)


def substituted(site: Site, value: str, path: str, injected: t.Mapping[str, str]) -> tuple[str, tuple[Problem, ...]]:
    """`value` with its names replaced, and an error for each name that has no value. `path` is where it is written.

    `injected` are the variables of the task. `${meta.<key>}` is a label of the robot, else the group's or the job's `meta`.
    """
    if "${" not in value:
        return value, ()
    replaced, unresolved = substitute(value, injected, **_rooms(site))
    if not unresolved:
        return replaced, ()
    if isinstance(value, Secret):
        # What looks like a name may be a part of a password.
        return replaced, (site.problem_here(path, "a name in this secret has no value", _REMEDY),)
    known = [*injected, *names_of_robot(site)]
    problems = (site.problem_here(path, f"${{{name}}} has no value", _remedy(name, known)) for name in unresolved)
    return replaced, tuple(problem._replace(cause=problem.message) for problem in problems)


def _remedy(name: str, known: t.Iterable[str]) -> str:
    port = _OF_PORT.fullmatch(name)
    if port:
        return f"declare the port {port[1]} in network.ports, or remove it from the text"
    # What is before the first point is never misspelled: with anything else there, the name would be the program's own.
    front = name[: name.find(".") + 1]
    meant = nearest(name[len(front) :], [other[len(front) :] for other in known if other[: other.find(".") + 1] == front])
    return f"did you mean ${{{front}{meant}}}?" if meant else _REMEDY


def _rooms(site: Site) -> dict[str, t.Mapping[str, str]]:
    robot = site.robot
    return {
        "attr": robot.capabilities,
        "meta": _Layers((robot.labels, site.meta)),
        "node": robot.node,
    }


def names_of_robot(site: Site) -> dict[str, str]:
    """All such names but those of variables: `node.datacenter`, `attr.cpu.arch`, `meta.site`."""
    return {f"{room}.{name}": value for room, values in _rooms(site).items() for name, value in values.items()}


def command_line(
    site: Site, where: str, command: str, args: t.Sequence[str], injected: t.Mapping[str, str]
) -> tuple[list[str], list[Problem]]:
    """The words of the command that is written at `where`, with their names replaced, and what is wrong with them."""
    return words(site, {f"{where}.command": command, **each_of(f"{where}.args", args)}, injected)


def each_of(path: str, texts: t.Sequence[str]) -> dict[str, str]:
    """The texts of the list at `path`, each by where it is written."""
    return {f"{path}[{number}]": text for number, text in enumerate(texts)}


def words(site: Site, written: t.Mapping[str, str], injected: t.Mapping[str, str]) -> tuple[list[str], list[Problem]]:
    """Words of a command, given by where they are written, with their names replaced, and what is wrong with them."""
    found: list[str] = []
    errors: list[Problem] = []
    for path, text in written.items():
        word, unresolved = substituted(site, text, path, injected)
        errors += unresolved
        if isinstance(word, Secret):
            what = "a secret cannot be used here: anyone who lists processes would see it"
            errors.append(site.problem(path, what, "pass it in env"))
        if why := too_long(word):
            errors.append(site.problem(path, why, "put it into a file that the task reads"))
        found.append(word)
    return found, errors
