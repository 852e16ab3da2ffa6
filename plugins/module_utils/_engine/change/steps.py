# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what should be and what is to the steps between: pure, and the same for a check, a switch and the way back.

A step is ``{"do": verb, "text": what a person reads or None, ...}``; perform.py knows the verbs. Steps are decided from
state alone, so whoever dies on the way leaves nothing behind that the next look does not see.
"""

from __future__ import annotations

from ..plan import UNIT_DIRECTORY
from ..resources import kinds
from ..system import systemd

# Starting one again would stop what belongs to it; a change of its file is taken in by daemon-reload.
NEVER_RESTARTED = (".target", ".slice")


def run_digest(unit, resources, digest):
    """What a unit takes in when it starts: its own file and those that it reads."""
    contents = {resource.get("path"): resource["digest"] for resource in resources if resource["kind"] == "file"}
    return digest("\n".join([unit["digest"]] + [f"{path} {contents.get(path)}" for path in unit["reads"]]))


def run_digests(resources, digest):
    """The run digest of each unit that should run."""
    return {unit["name"]: run_digest(unit, resources, digest) for unit in kinds.that_run(resources)}


def between(wanted, old, seen, units, started, digest, keep_data=False, spared=()):
    """The steps of one group; the commit is always one of them.

    ``wanted``, ``old``: resources, in the order in which they are made. ``seen``: {place: what is there}.
    ``units``: {unit: properties; and ``finished`` for one that runs once}. ``started``: {unit: run digest it last
    started with}. ``keep_data``: what programs wrote, and whose it is, outlives the group. ``spared``: leftovers that
    are none of this switch's business.
    """
    makes = [resource for resource in wanted if seen[kinds.place(resource)] != kinds.expected(resource)]
    gone, kept = split(wanted, old, keep_data, spared)
    gone = [resource for resource in gone if seen[kinds.place(resource)] is not None or _is_loaded(resource, units)]
    steps = _makes(makes, seen)
    stale = any(values.get("NeedDaemonReload") == "yes" for values in units.values())
    if stale or any(_is_systemd(resource) for resource in makes):
        steps.append(_step("reload", "reload systemd's units"))
    steps += _stops(gone, units)
    starts = _starts(wanted, makes, seen, units, started, digest)
    steps += starts
    if steps:
        steps.append(_step("healthy", None, units=[unit["name"] for unit in kinds.that_run(wanted)]))
    steps.append(_step("commit", None, leftovers=gone + kept))
    steps += [_step("remove", f"remove {kinds.label(resource)}", resource=resource) for resource in gone]
    if any(_is_systemd(resource) for resource in gone):
        steps.append(_step("reload", None))
    if gone:
        steps.append(_step("pruned", None, leftovers=kept))
    return steps


def idle(steps):
    """Whether there is nothing to do but to write it down."""
    return all(step["do"] == "commit" for step in steps)


def split(wanted, old, keep_data, spared=()):
    """The old resources that nobody wants any more, in the order of their removal, and those that stay all the same."""
    places = {kinds.place(resource) for resource in wanted}
    stay = {kinds.place(resource) for resource in spared}
    unwanted = [resource for resource in reversed(old) if kinds.place(resource) not in places]
    data = [resource["path"] for resource in unwanted if resource.get("data")] if keep_data else []
    kept = [resource for resource in unwanted if kinds.place(resource) in stay or kinds.outlives(resource, data)]
    return [resource for resource in unwanted if resource not in kept], kept


def _step(verb, text, **details):
    return dict(details, do=verb, text=text)


def _makes(makes, seen):
    unions = [resource for resource in makes if resource.get("union") and _is_file(seen[kinds.place(resource)])]
    steps = []
    if len(makes) > len(unions):
        # Whoever refers to an old member, or already to a new one, must find it until all files are in place.
        steps += [_step("union", None, resource=resource) for resource in unions]
    ordered = [resource for resource in makes if resource not in unions] + unions
    return steps + [_step("make", _text(resource, seen[kinds.place(resource)]), resource=resource) for resource in ordered]


def _text(resource, now):
    if now is None:
        return f"create {kinds.label(resource)}"
    expected = kinds.expected(resource)
    what = sorted(name for name in expected if now.get(name) != expected[name])
    return "change {} ({})".format(kinds.label(resource), ", ".join(what))


def _is_file(now):
    return now is not None and now["type"] == "file"


def _is_systemd(resource):
    return kinds.place(resource).startswith(UNIT_DIRECTORY + "/")


def _is_loaded(resource, units):
    return resource["kind"] == "unit" and systemd.up(units.get(resource["name"], {}))


def _stops(gone, units):
    names = [resource["name"] for resource in gone if resource["kind"] == "unit"]
    names = [name for name in names if systemd.loaded(units, name)]
    return [_step("stop", "stop {}".format(", ".join(names)), units=names)] if names else []


def _starts(wanted, makes, seen, units, started, digest):
    changed = {kinds.place(resource) for resource in makes if _content_differs(resource, seen)}
    restart, start = [], []
    for unit in kinds.that_run(wanted):
        taken_in = [kinds.place(unit)] + unit["reads"]
        differs = started.get(unit["name"]) != run_digest(unit, wanted, digest) or not changed.isdisjoint(taken_in)
        runs = systemd.up(units.get(unit["name"], {}))
        if unit["name"].endswith(NEVER_RESTARTED):
            if differs or not runs:
                start.append(unit)
        elif differs or not (runs or units.get(unit["name"], {}).get("finished")):
            restart.append(unit)
    if not restart and not start:
        return []
    steps = [_step("clear", None, units=[{"name": unit["name"], "done": unit["done"]} for unit in restart + start])]
    for verb, chosen in (("restart", restart), ("start", start)):
        names = [unit["name"] for unit in chosen]
        if names:
            text = ", ".join(f"{_verb(verb, units.get(name, {}))} {name}" for name in names)
            steps.append(_step(verb, text, units=names))
    return steps


def _verb(verb, values):
    return verb if systemd.up(values) else "start"


def _content_differs(resource, seen):
    now = seen[kinds.place(resource)] or {}
    return now.get("content") != kinds.expected(resource).get("content")
