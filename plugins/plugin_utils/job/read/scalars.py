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

from ..declare.keys import Bytes, Millicores, Seconds
from ..declare.shape import Field
from ..errors import Fault, listed, nearest, quoted
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


NOT_SUPPORTED = "is not supported yet"
A_NAME = "a name has 1 to 63 letters, digits and . _ -, and begins and ends with a letter or digit"


def text(field: Field, node: yaml.Node) -> str:
    """A string; what YAML 1.1 turns into something else is refused, so that nobody is surprised on the robot."""
    plain = raw_text(node)
    valid_text(plain)
    if field.key.pattern and not re.fullmatch(field.key.pattern, plain):
        if field.key.pattern == NAME:
            raise Fault("", A_NAME, found=not_a_name(plain))
        raise Fault("", f"write {field.key.says}", found=quoted(plain), hint=_did_you_mean(plain, field.key.known))
    return plain


def _did_you_mean(found: str, known: c.Iterable[str]) -> str:
    close = nearest(found, known)
    return f"did you mean {close}?" if close else ""


def raw_text(node: yaml.Node) -> str:
    if node.tag == VAULT:
        vaulted(node)
    if not isinstance(node, yaml.ScalarNode):
        raise Fault(" where text is expected", _jinja_remedy(node), found=kind(node))
    # YAML 1.1 gives a lone = a type of its own, which no one means.
    if node.tag in (STR, TAG + "value"):
        return t.cast(str, node.value)
    if node.tag in _SURPRISES:
        raise Fault(" where text is expected", found=kind(node), hint=f'quote it: "{node.value}"')
    if node.tag == NULL:
        raise Fault("found nothing where text is expected", 'write "" for empty text, or remove the key')
    if node.tag == VAULT:
        raise Fault(
            "a vaulted value cannot be kept secret here",
            "use vaulted values in env and meta: the program finds them in its environment",
        )
    raise Fault("", "quote the text if the ! belongs to it, otherwise remove the tag", found=f"the YAML tag {quoted(node.tag)}")


def vaulted(node: yaml.Node) -> str:
    """What stands behind ``!vault``, still encrypted."""
    if isinstance(node, yaml.ScalarNode) and node.value.strip():
        return t.cast(str, node.value)
    found = "nothing" if isinstance(node, yaml.ScalarNode) else kind(node)
    raise Fault(" after !vault", "write the text that ansible-vault encrypt_string printed", found=found)


def _jinja_remedy(node: yaml.Node) -> str:
    inner = node.value[0][0] if isinstance(node, yaml.MappingNode) and len(node.value) == 1 else None
    return "quote {{ }}; Jinja is rendered only in files named *.j2" if isinstance(inner, yaml.MappingNode) else ""


def valid_text(plain: str) -> None:
    """What no program can be given is refused."""
    if "\0" in plain:
        raise Fault("the text contains a NUL character", "remove it: no program can be given one")
    try:
        size = len(plain) if plain.isascii() else len(plain.encode())
    except UnicodeEncodeError:
        raise Fault("the text contains half of a surrogate pair", "write the character itself") from None
    if not plain.isascii() and _NONCHARACTER.search(plain):
        raise Fault("the text contains a Unicode noncharacter, such as U+FFFE", "remove it: systemd cannot pass it to a program")
    if size > _MAX_TEXT:
        remedy = f"Linux gives a program at most {_MAX_TEXT} bytes in one argument or variable"
        raise Fault("", remedy, found=f"a text of {size} bytes")


def not_a_name(text: str) -> str:
    """A text that is not a name, in words that say why."""
    if not text:
        return "an empty name"
    if len(text) > 63:
        return f"{quoted(text)}, which is {len(text)} characters long"
    bad = next((char for char in text if not (char.isascii() and (char.isalnum() or char in "._-"))), None)
    if bad is None:
        end, char = ("begins", text[0]) if not text[0].isalnum() else ("ends", text[-1])
        return f'{quoted(text)}, which {end} with "{char}"'
    if bad == "/":
        return f'{quoted(text)}, which contains "/" and would lead to another directory'
    if bad == "%":
        return f'{quoted(text)}, which contains "%", a character that systemd replaces in unit names'
    if not bad.isprintable():
        return f"{quoted(text)}, which contains the {'control' if ord(bad) < 160 else 'invisible'} character U+{ord(bad):04X}"
    return f'{quoted(text)}, which contains "{bad}"'


def integer(field: Field, node: yaml.Node) -> int:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (INT, FLOAT):
        quotes = isinstance(node, yaml.ScalarNode) and node.tag == STR and _DECIMAL.fullmatch(node.value)
        raise Fault(" where a whole number is expected", "remove the quotes" if quotes else "", found=kind(node))
    if not _DECIMAL.fullmatch(node.value):
        remedy = "write it in decimal, without a leading 0"
        raise Fault(" where a whole number is expected", remedy, found=quoted(node.value))
    # Digits beyond any limit of the format are not worth converting, and Python refuses thousands of them.
    value = int(node.value.partition(".")[0]) if len(node.value) < 30 else -(10**30) if node.value.startswith("-") else 10**30
    _in_range(field, value, node.value, str)
    return value


def _in_range(field: Field, value: float, found: str, show: c.Callable[[float], str]) -> None:
    low, high = field.key.minimum, field.key.maximum
    allowed = f"allowed: {show(low)} to {show(high)}" if low is not None and high is not None else ""
    if low is not None and value < low:
        raise Fault(f", less than {show(low)}", allowed, found=quoted(found))
    if high is not None and value > high:
        raise Fault(f", more than {show(high)}", allowed, found=quoted(found))


def boolean(_field: Field, node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.tag != BOOL:
        quotes = isinstance(node, yaml.ScalarNode) and node.tag == STR and node.value in ("true", "false")
        raise Fault(" where true or false is expected", "remove the quotes" if quotes else "", found=kind(node))
    return t.cast(str, node.value).lower() in ("true", "yes", "on")


def member(field: Field, node: yaml.Node) -> enum.Enum:
    found = raw_text(node)
    for value in field.type:
        if value.value == found:
            if value in field.key.refused_values:
                raise Fault(f", which {NOT_SUPPORTED}", f"supported: {listed(supported(field))}", found=found)
            return t.cast(enum.Enum, value)
    hint = _did_you_mean(found, supported(field))
    raise Fault("", f"allowed: {listed(supported(field))}", found=quoted(found), hint=hint)


def supported(field: Field) -> list[str]:
    """The values of an enumeration that this version acts on."""
    return [value.value for value in field.type if value not in field.key.refused_values]


def millicores(field: Field, node: yaml.Node) -> Millicores:
    found = _number_text(node, "an amount of CPU, such as 500m or 0.5,")
    try:
        value = quantities.millicores(found)
    except ValueError:
        raise Fault("", "write cores, such as 500m, 0.5 or 2", found=quoted(found)) from None
    if field.key.maximum is not None and value > field.key.maximum:
        digits = found.rstrip("kMGTi")
        thousandths = digits.isdecimal() and int(digits) <= field.key.maximum
        hint = f'did you mean "{digits}m" (thousandths of a core)?' if thousandths else ""
        remedy = "" if hint else "write less"
        raise Fault(f", more than {field.key.maximum // 1000:g} cores", remedy, found=quoted(found), hint=hint)
    _in_range(field, value, found, lambda limit: f"{limit}m")
    return value


def memory(field: Field, node: yaml.Node) -> Bytes:
    found = _number_text(node, "an amount of memory, such as 128Mi,")
    try:
        value = quantities.size(found)
    except ValueError:
        raise Fault("", "write a number with Ki, Mi, Gi, k, M or G, such as 128Mi", found=quoted(found)) from None
    if field.key.minimum is not None and value < field.key.minimum:
        number = re.match(r"[0-9.]*", found)
        meant = f"{number.group() if number else ''}Mi"
        hint = f'did you mean "{meant}"?' if quantities.size(meant) >= field.key.minimum else ""
        amount = f"{quoted(found)} ({value} byte{'s' * (value != 1)})"
        raise Fault(", less than 4Mi", "" if hint else "write at least 4Mi", found=amount, hint=hint)
    _in_range(field, value, found, lambda limit: f"{limit // 2**40:g}Ti")
    return value


def duration(field: Field, node: yaml.Node) -> Seconds:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (STR, INT, FLOAT):
        raise Fault(" where a duration, such as 5s or 1m30s, is expected", found=kind(node))
    try:
        if node.tag != STR:
            raise ValueError
        value = quantities.seconds(node.value)
    except ValueError:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", node.value):
            raise Fault(" without a unit", found=quoted(node.value), hint=f"did you mean {node.value}s?") from None
        remedy = "write numbers with units (ns, us, ms, s, m or h), such as 1m30s"
        raise Fault("", remedy, found=quoted(node.value)) from None
    _in_range(field, value, node.value, lambda limit: f"{limit:g}s")
    if value > quantities.LONGEST:
        longest = f"{quantities.LONGEST / 3600:.0f}h"
        raise Fault(f", more than {longest}", f"write at most {longest}, a hundred years", found=quoted(node.value))
    return value


def _number_text(node: yaml.Node, wanted: str) -> str:
    """A quantity as it was written, quoted or not."""
    if isinstance(node, yaml.ScalarNode) and node.tag in (STR, INT, FLOAT):
        return t.cast(str, node.value)
    raise Fault(f" where {wanted} is expected", found=kind(node))


SCALARS: dict[t.Any, c.Callable[[Field, yaml.Node], t.Any]] = {
    str: text,
    int: integer,
    bool: boolean,
    Millicores: millicores,
    Bytes: memory,
    Seconds: duration,
}
