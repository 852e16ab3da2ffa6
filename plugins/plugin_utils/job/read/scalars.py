# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One YAML scalar as the value that a key wants, or a :class:`Fault` that says what was found and what is allowed."""

from __future__ import annotations

import collections.abc as c
import enum
import re
import typing as t

import yaml

from ..declare.keys import Bytes, Millicores, Seconds, Support
from ..declare.shape import Field
from ..errors import listed, nearest, quoted
from ..model.vocabulary import NAME
from . import quantities
from .nodes import BOOL, FLOAT, INT, NULL, STR, TAG, VAULT, kind

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.0+)?")
_SURPRISES = (INT, FLOAT, BOOL, TAG + "timestamp")
# One argument or variable of a Linux program, with its NUL, has to fit in MAX_ARG_STRLEN.
_MAX_TEXT = 128 * 1024 - 1
# systemd takes no environment file that holds one, and writes the line that it refuses into the journal.
_LAST_TWO = "".join(chr(plane | last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
_NONCHARACTER = re.compile(f"[\ufdd0-\ufdef{_LAST_TWO}]")


class Fault(Exception):
    """A value that its key does not take."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def text(field: Field, node: yaml.Node) -> str:
    """A string; what YAML 1.1 turns into something else is refused, so that nobody is surprised on the robot."""
    plain = raw_text(node)
    valid_text(plain)
    if field.pattern and not field.pattern.fullmatch(plain):
        if field.key.pattern == NAME:
            raise Fault(*name_fault(plain))
        close = nearest(plain, _alternatives(field.key.pattern))
        raise Fault(f"found {quoted(plain)}", f"write {field.key.says}" + (f"; did you mean {close}?" if close else ""))
    return plain


def _alternatives(pattern: str | None) -> list[str]:
    """The signal names that a pattern spells out; nothing for other patterns."""
    return [f"SIG{name}" for name in re.findall(r"[(|]([A-Z0-9]+)", pattern)] if pattern and pattern.startswith("SIG") else []


def raw_text(node: yaml.Node) -> str:
    if node.tag == VAULT:
        vaulted(node)
    if not isinstance(node, yaml.ScalarNode):
        raise Fault(f"found {kind(node)} where text is wanted", _jinja_remedy(node))
    # YAML 1.1 gives a lone = a type of its own, which no one means.
    if node.tag in (STR, TAG + "value"):
        return t.cast(str, node.value)
    if node.tag in _SURPRISES:
        raise Fault(f"found {kind(node)} where text is wanted", f'quote it: "{node.value}"')
    if node.tag == NULL:
        raise Fault("found nothing where text is wanted", 'write "" for empty text, or remove the key')
    if node.tag == VAULT:
        raise Fault(
            "a vaulted value could not be kept secret here",
            "vaulted values may stand in env and meta; the program finds them in its environment",
        )
    raise Fault(f"found the YAML tag {quoted(node.tag)}", "quote the text if the ! belongs to it, else remove the tag")


def vaulted(node: yaml.Node) -> str:
    """What stands behind ``!vault``, still encrypted."""
    if isinstance(node, yaml.ScalarNode) and node.value.strip():
        return t.cast(str, node.value)
    found = "nothing" if isinstance(node, yaml.ScalarNode) else kind(node)
    raise Fault(f"found {found} behind !vault", "write the text that ansible-vault encrypt_string made")


def _jinja_remedy(node: yaml.Node) -> str:
    inner = node.value[0][0] if isinstance(node, yaml.MappingNode) and len(node.value) == 1 else None
    return "quote {{ }}; Jinja is rendered only in files named *.j2" if isinstance(inner, yaml.MappingNode) else ""


def valid_text(plain: str) -> None:
    """What no program can be given is refused."""
    if "\0" in plain:
        raise Fault("the text holds a NUL character", "remove it; no program can be given one")
    try:
        size = len(plain) if plain.isascii() else len(plain.encode())
    except UnicodeEncodeError:
        raise Fault("the text holds half of a surrogate pair", "write the character itself") from None
    if not plain.isascii() and _NONCHARACTER.search(plain):
        raise Fault("the text holds a Unicode noncharacter, such as U+FFFE", "remove it; systemd gives no program one")
    if size > _MAX_TEXT:
        raise Fault(f"the text is {size} bytes long", f"Linux gives a program at most {_MAX_TEXT} bytes in one argument or variable")


def name_fault(name: str) -> tuple[str, str]:
    """Why a text is no name, and what a name is."""
    remedy = "a name is 1 to 63 letters, digits and . _ -, and begins and ends with a letter or digit"
    if not name:
        return "the name is empty", remedy
    if len(name) > 63:
        return f"the name is {len(name)} characters long", remedy
    bad = next((char for char in name if not (char.isascii() and (char.isalnum() or char in "._-"))), None)
    if bad is None:
        end, char = ("begins", name[0]) if not name[0].isalnum() else ("ends", name[-1])
        return f'the name {quoted(name)} {end} with "{char}"', remedy
    if bad == "/":
        return f'the name {quoted(name)} holds "/" and would leave its directory', remedy
    if bad == "%":
        return f'the name {quoted(name)} holds "%", which systemd replaces in unit names', remedy
    if not bad.isprintable():
        return f"the name {quoted(name)} holds the {'control' if ord(bad) < 160 else 'invisible'} character U+{ord(bad):04X}", remedy
    return f'the name {quoted(name)} holds "{bad}"', remedy


def variable_fault(name: str) -> tuple[str, str]:
    return f"{quoted(name)} is no name of an environment variable", "use letters, digits and _, and begin with no digit"


def integer(field: Field, node: yaml.Node) -> int:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (INT, FLOAT):
        unquoted = isinstance(node, yaml.ScalarNode) and node.tag == STR and _DECIMAL.fullmatch(node.value)
        raise Fault(f"found {kind(node)} where a whole number is wanted", "remove the quotes" if unquoted else "")
    if not _DECIMAL.fullmatch(node.value):
        raise Fault(f"found {quoted(node.value)} where a whole number is wanted", "write it in decimal, without a leading 0")
    # Digits beyond any limit of the format are not worth converting, and Python refuses thousands of them.
    value = int(node.value.partition(".")[0]) if len(node.value) < 30 else -(10**30) if node.value.startswith("-") else 10**30
    in_range(field, value, node.value, str)
    return value


def in_range(field: Field, value: float, found: str, show: c.Callable[[float], str]) -> None:
    low, high = field.key.minimum, field.key.maximum
    if low is not None and value < low:
        raise Fault(f"found {quoted(found)}, less than {show(low)}", f"allowed: {show(low)} to {show(high)}" if high is not None else "")
    if high is not None and value > high:
        raise Fault(f"found {quoted(found)}, more than {show(high)}", f"allowed: {show(low)} to {show(high)}" if low is not None else "")


def boolean(_field: Field, node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.tag != BOOL:
        quotes = isinstance(node, yaml.ScalarNode) and node.tag == STR and node.value in ("true", "false")
        raise Fault(f"found {kind(node)} where true or false is wanted", "remove the quotes" if quotes else "")
    return t.cast(str, node.value).lower() in ("true", "yes", "on")


def member(field: Field, node: yaml.Node) -> enum.Enum:
    found = raw_text(node)
    for value in field.type:
        if value.value == found:
            if value in field.key.refused_values:
                raise Fault(f"{found} is {Support.REFUSED.value.partition(': ')[2]}", f"works today: {listed(allowed(field))}")
            return t.cast(enum.Enum, value)
    close = nearest(found, allowed(field))
    raise Fault(f"found {quoted(found)}", f"allowed: {listed(allowed(field))}" + (f"; did you mean {close}?" if close else ""))


def allowed(field: Field) -> list[str]:
    return [value.value for value in field.type if value not in field.key.refused_values]


def millicores(field: Field, node: yaml.Node) -> Millicores:
    found = _number_text(node, "an amount of CPU, such as 500m or 0.5")
    try:
        value = quantities.millicores(found)
    except ValueError:
        raise Fault(f"found {quoted(found)}", "write cores, such as 500m, 0.5 or 2") from None
    if field.key.maximum is not None and value > field.key.maximum:
        digits = found.rstrip("kMGTi")
        remedy = (
            f'did you mean "{digits}m", thousandths of a core?' if digits.isdecimal() and int(digits) <= field.key.maximum else "write less"
        )
        raise Fault(f"found {quoted(found)}, more than {field.key.maximum // 1000} cores", remedy)
    in_range(field, value, found, lambda limit: f"{limit}m")
    return value


def memory(field: Field, node: yaml.Node) -> Bytes:
    found = _number_text(node, "an amount of memory, such as 128Mi")
    try:
        value = quantities.size(found)
    except ValueError:
        raise Fault(f"found {quoted(found)}", "write a number with Ki, Mi, Gi, k, M or G, such as 128Mi") from None
    if field.key.minimum is not None and value < field.key.minimum:
        number = re.match(r"[0-9.]*", found)
        meant = f"{number.group() if number else ''}Mi"
        fits = quantities.size(meant) >= field.key.minimum
        raise Fault(
            f"found {quoted(found)}, {value} byte{'s' * (value != 1)}, less than 4Mi",
            f'did you mean "{meant}"?' if fits else "write at least 4Mi",
        )
    in_range(field, value, found, lambda limit: f"{limit // 2**40}Ti")
    return value


def duration(field: Field, node: yaml.Node) -> Seconds:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (STR, INT, FLOAT):
        raise Fault(f"found {kind(node)} where a duration, such as 5s or 1m30s, is wanted")
    try:
        if node.tag != STR:
            raise ValueError
        value = quantities.seconds(node.value)
    except ValueError:
        no_unit = re.fullmatch(r"[0-9]+(\.[0-9]+)?", node.value)
        remedy = f"write the unit, such as {node.value}s" if no_unit else "write numbers with ns, us, ms, s, m or h, such as 1m30s"
        raise Fault(f"found {quoted(node.value)}", remedy) from None
    in_range(field, value, node.value, lambda limit: f"{limit:g}s")
    if value > quantities.LONGEST:
        longest = f"{quantities.LONGEST / 3600:.0f}h"
        raise Fault(f"found {quoted(node.value)}, more than {longest}", f"write at most {longest}, a hundred years")
    return value


def _number_text(node: yaml.Node, wanted: str) -> str:
    """A quantity as it was written, quoted or not."""
    if isinstance(node, yaml.ScalarNode) and node.tag in (STR, INT, FLOAT):
        return t.cast(str, node.value)
    raise Fault(f"found {kind(node)} where {wanted} is wanted")


SCALARS: dict[t.Any, c.Callable[[Field, yaml.Node], t.Any]] = {
    str: text,
    int: integer,
    bool: boolean,
    Millicores: millicores,
    Bytes: memory,
    Seconds: duration,
}
