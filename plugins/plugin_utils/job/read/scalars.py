# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One YAML scalar as the value that its key takes, or a :class:`Mistake` with what was found and what is expected."""

from __future__ import annotations

import collections.abc as c
import enum
import re
import typing as t

import yaml

from ..declare import quantities
from ..declare.keys import Bytes, Millicores, Seconds
from ..declare.shape import Field
from ..errors import Mistake, did_you_mean, listed, quoted
from .nodes import BOOL, FLOAT, INT, STR, kind
from .texts import raw_text, text

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.0+)?")
CPU = "an amount of CPU in cores, such as 500m, 0.5 or 2"
MEMORY = "an amount of memory: a number with Ki, Mi, Gi, k, M or G, such as 128Mi"
DURATION, UNITS = "a duration, such as 5s or 1m30s", "the units are ns, us, ms, s, m and h"
NOT_SUPPORTED = "not supported yet"


def integer(field: Field, node: yaml.Node) -> int:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (INT, FLOAT):
        quotes = isinstance(node, yaml.ScalarNode) and node.tag == STR and _DECIMAL.fullmatch(node.value)
        raise Mistake("expected a whole number", "remove the quotes" if quotes else "", value=kind(node))
    if not _DECIMAL.fullmatch(node.value):
        remedy = "write it in decimal, without a leading 0"
        raise Mistake("expected a whole number", remedy, value=quoted(node.value))
    # Digits beyond any limit of the format are not worth converting, and Python refuses thousands of them.
    value = int(node.value.partition(".")[0]) if len(node.value) < 30 else -(10**30) if node.value.startswith("-") else 10**30
    _in_range(field, value, node.value, str)
    return value


def _in_range(field: Field, value: float, found: str, show: c.Callable[[float], str]) -> None:
    low, high = field.key.minimum, field.key.maximum
    allowed = f"allowed: {show(low)} to {show(high)}" if low is not None and high is not None else ""
    if low is not None and value < low:
        raise Mistake(f"less than {show(low)}", allowed, value=quoted(found))
    if high is not None and value > high:
        raise Mistake(f"more than {show(high)}", allowed, value=quoted(found))


def boolean(_field: Field, node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.tag != BOOL:
        quotes = isinstance(node, yaml.ScalarNode) and node.tag == STR and node.value in ("true", "false")
        raise Mistake("expected true or false", "remove the quotes" if quotes else "", value=kind(node))
    return t.cast(str, node.value).lower() in ("true", "yes", "on")


def member(field: Field, node: yaml.Node) -> enum.Enum:
    found = raw_text(node)
    for value in field.type:
        if value.value == found:
            if value in field.key.refused_values:
                raise Mistake(NOT_SUPPORTED, f"supported: {listed(supported(field))}", value=found)
            return t.cast(enum.Enum, value)
    elsewhere = field.key.values_elsewhere.get(found)
    meant = f"did you mean {elsewhere}?" if elsewhere else did_you_mean(found, supported(field))
    raise Mistake(f"expected {listed(supported(field))}", value=quoted(found), value_remedy=meant)


def supported(field: Field) -> list[str]:
    """The values of an enumeration that this version acts on."""
    return [value.value for value in field.type if value not in field.key.refused_values]


def millicores(field: Field, node: yaml.Node) -> Millicores:
    found = _number_text(node, CPU)
    try:
        value = quantities.millicores(found)
    except ValueError:
        raise Mistake(f"expected {CPU}", value=quoted(found)) from None
    if field.key.maximum is not None and value > field.key.maximum:
        digits = found.rstrip("kMGTi")
        thousandths = digits.isdecimal() and int(digits) <= field.key.maximum
        meant = f'did you mean "{digits}m" (thousandths of a core)?' if thousandths else ""
        raise Mistake(f"more than {field.key.maximum // 1000:g} cores", "write less", value=quoted(found), value_remedy=meant)
    _in_range(field, value, found, lambda limit: f"{limit}m")
    return value


def memory(field: Field, node: yaml.Node) -> Bytes:
    found = _number_text(node, MEMORY)
    try:
        value = quantities.size(found)
    except ValueError:
        bytes_too = re.fullmatch(r"([0-9.]+) ?([KkMG]i?)[Bb]", found)
        meant = f"did you mean {bytes_too[1]}{bytes_too[2].replace('K', 'Ki').replace('ii', 'i')}?" if bytes_too else ""
        raise Mistake(f"expected {MEMORY}", value=quoted(found), value_remedy=meant) from None
    if field.key.minimum is not None and value < field.key.minimum:
        number = re.match(r"[0-9.]*", found)
        mebibytes = f"{number.group() if number else ''}Mi"
        meant = f'did you mean "{mebibytes}"?' if quantities.size(mebibytes) >= field.key.minimum else ""
        amount = f"{quoted(found)} ({value} byte{'s' * (value != 1)})"
        least = quantities.spelled(field.key.minimum)
        raise Mistake(f"less than {least}", f"write at least {least}", value=amount, value_remedy=meant)
    _in_range(field, value, found, quantities.spelled)
    return value


def duration(field: Field, node: yaml.Node) -> Seconds:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (STR, INT, FLOAT):
        raise Mistake(f"expected {DURATION}", value=kind(node))
    try:
        if node.tag != STR:
            raise ValueError
        value = quantities.seconds(node.value)
    except ValueError:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", node.value):
            raise Mistake("the unit is missing", UNITS, value=quoted(node.value), value_remedy=f"did you mean {node.value}s?") from None
        raise Mistake(f"expected {DURATION}", UNITS, value=quoted(node.value)) from None
    _in_range(field, value, node.value, lambda limit: f"{limit:g}s")
    if value > quantities.LONGEST:
        longest = f"{quantities.LONGEST / 3600:.0f}h"
        raise Mistake(f"more than {longest}", f"write at most {longest}, a hundred years", value=quoted(node.value))
    return value


def _number_text(node: yaml.Node, wanted: str) -> str:
    """A quantity as it was written, quoted or not."""
    if isinstance(node, yaml.ScalarNode) and node.tag in (STR, INT, FLOAT):
        found = t.cast(str, node.value)
        # A number that is 0 is not negative, also for who checks the file with the schema.
        return found[1:] if node.tag != STR and re.fullmatch(r"-[0.]+", found) else found
    raise Mistake(f"expected {wanted}", value=kind(node))


SCALARS: dict[t.Any, c.Callable[[Field, yaml.Node], t.Any]] = {
    str: text,
    int: integer,
    bool: boolean,
    Millicores: millicores,
    Bytes: memory,
    Seconds: duration,
}
