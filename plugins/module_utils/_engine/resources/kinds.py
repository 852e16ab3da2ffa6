# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of resources. Each is a module that says where a resource is, what should be, what is, and how to get there:

``KEYS``                        {key: type} that a resource in a plan must have; ``name`` or ``path`` is what people call it
``check(where, resource)``      yields what is wrong with one that has them
``place(resource)``             the path that stands for it; two resources of one place would be in each other's way
``expected(resource)``          what should be, comparable with
``actual(resource, observer)``  what is; None where it is absent
``fix(resource, robot)``        makes it so
``remove(resource)``            makes it absent
``outlives(resource, data)``    whether it stays when its group goes, because of these directories of data that are kept

Its constructor is in plan.py. A ``content`` is bytes in the store and its ``digest`` in the resource, for every kind.
"""

from __future__ import annotations

from . import checks, directory, file, link, unit, user

KINDS = {"directory": directory, "file": file, "link": link, "unit": unit, "user": user}


def errors(where, resource):
    """What is wrong with a resource of a plan; ``where`` is its place in the plan."""
    problems = checks.typed(where, resource, {"kind": str})
    if problems:
        return problems
    kind = KINDS.get(resource["kind"])
    if kind is None:
        return [f"{where}.kind: {resource['kind']!r} is not known"]
    return checks.typed(where, resource, kind.KEYS) or list(kind.check(where, resource))


def place(resource):
    return KINDS[resource["kind"]].place(resource)


def expected(resource):
    return KINDS[resource["kind"]].expected(resource)


def actual(resource, observer):
    return KINDS[resource["kind"]].actual(resource, observer)


def outlives(resource, data):
    return KINDS[resource["kind"]].outlives(resource, data)


def that_run(resources):
    """The units among resources that shall run, or shall have run."""
    return [resource for resource in resources if resource["kind"] == "unit" and resource["run"] != "none"]


def label(resource):
    """How a person calls it."""
    return "{} {}".format(resource["kind"], resource["name"] if "name" in resource else resource["path"])
