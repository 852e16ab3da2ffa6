# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One YAML scalar as text, or a :class:`Mistake` with what was found and what is expected."""

from __future__ import annotations

import re
import typing as t

import yaml

from ..declare.shape import Field
from ..errors import EMPTY, Mistake, did_you_mean, quoted
from ..model.vocabulary import NAME
from ..substitution import kept
from ..variables import too_long
from .nodes import BOOL, FLOAT, INT, JINJA, NULL, STR, TAG, VAULT, kind

_SURPRISES = (INT, FLOAT, BOOL, TAG + "timestamp")
NOT_REPLACED = "names are not replaced here"
A_NAME = "a name has 1 to 63 letters, digits and . _ -, and begins and ends with a letter or digit"


def text(field: Field, node: yaml.Node) -> str:
    """A string; what YAML 1.1 turns into something else is refused, so that there is no surprise on the robot."""
    if node.tag == INT and field.key.pattern and re.fullmatch(field.key.pattern, f"localhost:{node.value}"):
        raise Mistake(f"expected {field.key.expected}", value=kind(node), value_remedy=f"the host is missing, as in 127.0.0.1:{node.value}")
    plain = raw_text(node)
    valid_text(plain)
    if not (field.key.substituted or field.key.names_kept) and (name := kept(plain)):
        raise Mistake(NOT_REPLACED, "write the value itself", value=quoted(name))
    if field.key.pattern and not re.fullmatch(field.key.pattern, plain):
        if field.key.pattern == NAME:
            raise Mistake(A_NAME, value=not_a_name(plain))
        meant = did_you_mean(plain, field.key.known)
        raise Mistake(f"expected {field.key.expected}", value=quoted(plain), value_remedy=meant)
    return plain


def raw_text(node: yaml.Node) -> str:
    """The text as it is written, whatever it may say."""
    if node.tag == VAULT:
        vaulted(node)
    if not isinstance(node, yaml.ScalarNode):
        raise Mistake("expected text", _jinja_remedy(node), value=kind(node))
    # YAML 1.1 gives a lone = a type of its own, which no one means.
    if node.tag in (STR, TAG + "value"):
        return t.cast(str, node.value)
    if node.tag in _SURPRISES:
        raise Mistake("expected text", "quote it", value=kind(node), value_remedy=f'quote it: "{node.value}"')
    if node.tag == NULL:
        raise Mistake("expected text", EMPTY, value=kind(node))
    if node.tag == VAULT:
        raise Mistake(
            "a vaulted value cannot be kept secret here",
            "use vaulted values in env and meta: the program finds them in its environment",
        )
    remedy = "quote the text if the ! belongs to it, otherwise remove the tag"
    raise Mistake("expected text without a tag", remedy, value=f"the YAML tag {quoted(node.tag)}")


def vaulted(node: yaml.Node) -> str:
    """The text after ``!vault``, still encrypted."""
    if isinstance(node, yaml.ScalarNode) and node.value.strip():
        return t.cast(str, node.value)
    found = "nothing" if isinstance(node, yaml.ScalarNode) else kind(node)
    raise Mistake("expected text after !vault", "write what ansible-vault encrypt_string printed", value=found)


def _jinja_remedy(node: yaml.Node) -> str:
    inner = node.value[0][0] if isinstance(node, yaml.MappingNode) and len(node.value) == 1 else None
    return f"quote {{{{ }}}}; {JINJA}" if isinstance(inner, yaml.MappingNode) else ""


def valid_text(plain: str) -> None:
    """Refuses what no program can be given."""
    if "\0" in plain:
        raise Mistake("the text contains a NUL character", "remove it: no program can be given one")
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise Mistake("the text contains half of a surrogate pair", "write the character itself") from None
    # systemd accepts no environment file that contains one, and writes the line that it refuses into the journal.
    if not plain.isascii() and any(map(is_noncharacter, plain)):
        raise Mistake("the text contains a Unicode noncharacter, such as U+FFFE", "remove it: systemd cannot pass it to a program")
    if why := too_long(plain):
        raise Mistake(f"the text {why}", "put it into a file that the task reads")


def is_noncharacter(char: str) -> bool:
    """Whether Unicode sets the code point apart: U+FDD0 to U+FDEF, and the last two of each plane (Unicode 15, section 23.7)."""
    code = ord(char)
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def not_a_name(text: str) -> str:
    """A text that is not a name, in words that show why."""
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
