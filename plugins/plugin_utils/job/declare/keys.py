# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a dataclass of the job model states what its keys mean.

Every field of :mod:`..model` is declared with :func:`key`. That declaration is the only place where a key's
meaning, limits and support are written: the reader, the JSON Schema and the reference page are all derived from it.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import MISSING

# Under another name, because pylint lets `field` be called only in a class that `dataclass` itself decorates.
from dataclasses import field as attribute
from types import MappingProxyType


class Support(enum.Enum):
    """What this version does with a key."""

    WORKS = "works"
    NO_EFFECT = "accepted with a warning, has no effect yet"
    REFUSED = "refused, not supported yet"


class Millicores(int):
    """CPU time per second, in thousandths of a core; written ``500m``, ``0.5`` or ``2``."""


class Bytes(int):
    """An amount of memory, in bytes; written as a Kubernetes quantity, ``128Mi``."""


class Seconds(float):
    """A duration, in seconds; written as a Go duration, ``1m30s``."""


class Secret(str):
    """A string that came from ``!vault`` or a vaulted file: it may reach an environment file and nothing else."""


class Key(t.NamedTuple):
    """What is known of one key beyond its type.

    ``ours`` marks what k8s4r itself does not have. ``minimum``, ``maximum`` and ``min_items`` are inclusive.
    ``pattern`` is an ECMA 262 regular expression that must match the whole string. ``substituted`` says that
    ``${...}`` names are replaced per robot and instance. Elsewhere one of ours is a mistake, unless ``names_kept``: someone else reads it,
    such as a shell or a template. ``support`` is what the key as a whole gets.
    ``never`` says why a key without effect will not have one either.
    ``expected`` is ``pattern`` in words, for errors, and ``known`` are texts that match it, suggested where one is mistyped.
    ``key_pattern`` applies to the keys of a mapping of text, and ``names`` is what they name, with a remedy. ``secret``
    allows a ``!vault`` value here. ``refused_values`` are enumeration members not supported yet.
    ``meant_by`` are other words for the key, of people who know the matter from elsewhere: it is suggested for them. ``values_elsewhere``
    maps such words for members of an enumeration to these.
    ``shorthand`` maps a truth value to what it is short for. ``text_is`` names the key of an object that a text in its place is.
    """

    doc: str
    name: str | None = None
    aliases: tuple[str, ...] = ()
    ours: bool = False
    support: Support = Support.WORKS
    never: str = ""
    minimum: float | None = None
    maximum: float | None = None
    min_items: int | None = None
    pattern: str | None = None
    expected: str = ""
    known: tuple[str, ...] = ()
    key_pattern: str | None = None
    names: tuple[str, str] = ("an environment variable", "use letters, digits and _, and do not begin with a digit")
    substituted: bool = False
    names_kept: bool = False
    secret: bool = False
    refused_values: tuple[enum.Enum, ...] = ()
    meant_by: tuple[str, ...] = ()
    values_elsewhere: t.Mapping[str, str] = MappingProxyType({})
    shorthand: t.Mapping[bool, t.Any] | None = None
    text_is: str | None = None


def key(doc: str, *, default: t.Any = MISSING, factory: t.Any = MISSING, **rules: t.Any) -> t.Any:
    """Declare a field of the job model; the keyword rules are those of :class:`Key`.

    A field without ``default`` and ``factory`` is required.
    """
    return attribute(default=default, default_factory=factory, metadata={"key": Key(doc=doc, **rules)})
