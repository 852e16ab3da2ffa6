# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that must differ: of things in one list, and of the variables that they give to programs."""

from __future__ import annotations

import collections.abc as c
import typing as t

from ..errors import Finding, Mistake, child, quoted
from ..model.network import Upstream
from ..model.vocabulary import Protocol
from ..variables import is_database, variable

RENAME = "rename one of them"


def unique(things: c.Iterable[t.Any], path: str) -> c.Iterator[Finding]:
    """Names are unique in their list."""
    first: dict[str, int] = {}
    for number, thing in enumerate(things):
        if thing is not None and thing.name is not None:
            other = first.setdefault(thing.name, number)
            if other != number:
                yield f"{path}[{number}].name", Mistake(f"already the name of {path}[{other}]", RENAME, value=quoted(thing.name))


def meta(names: c.Iterable[str], path: str, outer: c.Iterable[str] = (), outer_path: str = "") -> c.Iterator[Finding]:
    """No two keys of meta, the job's (`outer`) and the group's, give one NOMAD_META_ variable."""
    first = {variable(name): (name, outer_path) for name in outer}
    for name in names:
        other, owner = first.setdefault(variable(name), (name, path))
        if other != name:
            yield child(path, name), Mistake(f"sets the variable NOMAD_META_{variable(name)}, as {child(owner, other)} does", RENAME)


def upstreams(declared: c.Iterable[tuple[str, Upstream]]) -> c.Iterator[Finding]:
    """Every injected variable has one source, and a name that systemd accepts. Upstreams come with their paths."""
    sources: dict[str, str] = {}
    database = False
    named: set[str] = set()
    for path, upstream in declared:
        # That two have one name is an error already.
        if not upstream.name or upstream.name in named:
            continue
        named.add(upstream.name)
        name = variable(upstream.name)
        injected = [f"PROXY_{name}_PORT", f"PROXY_{name}_ADDR"]
        if upstream.protocol is not Protocol.TCP:
            injected.append(f"{name}_URL")
            if name[0].isdigit():
                value = f"{quoted(upstream.name)} (variable {name}_URL)"
                yield f"{path}.name", Mistake("a variable cannot begin with a digit", "begin the name with a letter", value=value)
        elif not database and is_database(upstream):
            database = True
            injected += ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_URL"]
        for each in injected:
            if sources.setdefault(each, path) != path:
                value = f"{quoted(upstream.name)} (variable {each})"
                yield f"{path}.name", Mistake(f"sets the same variable as {sources[each]}", RENAME, value=value)
                break
