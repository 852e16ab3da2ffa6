# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text as nodes with positions: several documents, duplicate keys, merge keys, and limits against bombs.

Nodes are used instead of loaded data because they keep line and column, and the text of every scalar as it was
written: loading turns ``0123`` into 83 and ``12:30`` into 750 before it could be reported.
"""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

import yaml

from ..errors import Mistake, Position, printable, quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 100_000

TAG = "tag:yaml.org,2002:"
STR, INT, FLOAT, BOOL, NULL = (TAG + name for name in ("str", "int", "float", "bool", "null"))
MERGE = TAG + "merge"
VAULT = "!vault"
JINJA = "Jinja is rendered only in files named *.j2"
Entries = dict[str, tuple[yaml.Node, yaml.Node]]

_SURROGATE = re.compile("[\ud800-\udfff]")
# The scanner of libyaml 0.2.6 (PyYAML 6.0.4) reads up to 1024 characters ahead and has a limit of its own, a thousand levels.
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"

# Ends what PyYAML says of things whose end is written.
_CLOSED = ("flow sequence", "flow mapping", "quoted scalar")


class _Levels:
    """Counts levels while nodes are composed: libyaml's composer recurses in C, and would overflow the stack."""

    level = 0

    def descend_resolver(self, _parent: t.Any, _index: t.Any) -> None:
        self.level += 1
        if self.level > MAX_DEPTH:
            raise _too_deep()

    def ascend_resolver(self) -> None:
        self.level -= 1


def limited(loader: type) -> type:
    """A loader of PyYAML that composes at most ``MAX_DEPTH`` levels."""
    return type("Loader", (_Levels, loader), {})


_LOADER = limited(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class NotYaml(Mistake):
    """The text is not YAML, or more of it than a job file may be. No more of its document can be read."""


def _too_deep() -> NotYaml:
    return NotYaml(f"is nested deeper than {MAX_DEPTH} levels", "no job needs that")


def compose(text: str | bytes) -> c.Iterator[yaml.Node]:
    """Each document's root node. Raises :class:`NotYaml`, after the documents before the mistake."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotYaml(f"is not UTF-8 (byte {error.start + 1})", "save it as UTF-8") from None
    if len(text) > MAX_BYTES:
        raise NotYaml(f"is longer than {MAX_BYTES // 1024} KiB", "split it into several job files")
    half = None if text.isascii() else _SURROGATE.search(text)
    if half:
        value = f"U+{ord(half.group()):04X}"
        at = _place(text, half.start())
        raise NotYaml("half of a surrogate pair, which is not a character", "write the character itself", value=value, at=at)
    try:
        for node in yaml.compose_all(text, Loader=_LOADER):
            if node.tag != NULL:
                yield node
    except yaml.MarkedYAMLError as error:
        if error.problem == _LIBYAML_TOO_DEEP:
            raise _too_deep() from None
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(printable(str(part)) for part in (_context(error), error.problem) if part)
        place = _position(mark) if mark else None
        raise NotYaml(f"not valid YAML: {reason}", _remedy(text, mark), at=place) from None
    except yaml.reader.ReaderError as error:
        at = _place(text, error.position)
        raise NotYaml(f"not valid YAML: character U+{error.character:04X} is not allowed", "remove it", at=at) from None


def _place(text: str, index: int) -> Position:
    """Line and column of a character, from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _context(error: yaml.MarkedYAMLError) -> str | None:
    """What was being read, with its beginning where it may lack its end: then the mistake is rather there than where it is noticed."""
    began = error.context_mark
    if began is None or not str(error.context).endswith(_CLOSED):
        return error.context
    return f"{error.context} that begins on line {began.line + 1}, column {began.column + 1}"


def _remedy(text: str, mark: t.Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    quote = _quote_to(text, mark) if mark else None
    if quote:
        return f"the quoted text that ends here begins on line {quote[0]}, column {quote[1]}: is its quote missing there?"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not with tabs"
    if "{{" in line:
        return f"quote it; {JINJA}"
    return ""


def _quote_to(text: str, mark: t.Any) -> Position | None:
    """Where the quoted text of several lines begins after which this mark is: its quote may be meant as the beginning of another one."""
    found = None
    try:
        for token in yaml.scan(text, Loader=_LOADER):
            if (token.start_mark.line, token.start_mark.column) >= (mark.line, mark.column):
                break
            quoted_lines = isinstance(token, yaml.ScalarToken) and token.style in ("'", '"') and token.start_mark.line < token.end_mark.line
            found = _position(token.start_mark) if quoted_lines and token.end_mark.line == mark.line else None
    except yaml.YAMLError:
        pass
    return found


class Walk:
    """Reading of one document, with a budget: aliases make a few lines stand for millions of nodes."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def spend(self, nodes: int, node: yaml.Node) -> None:
        self.left -= nodes
        if self.left < 0:
            raise NotYaml(f"expands to more than {MAX_NODES} values", "use fewer aliases", at=position(node))

    def entries(self, node: yaml.MappingNode, report: c.Callable[[yaml.Node, Mistake], None]) -> Entries:
        """A mapping's keys as written, each with its key and value node, in order.

        Keys that are not text or are written twice are reported. A merge key ``<<`` brings the keys of the mapping,
        or mappings, that it refers to, as YAML 1.1 says: own keys win, then the earlier mapping.
        """
        self.spend(len(node.value), node)
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                    if isinstance(source, yaml.MappingNode):
                        merged = {**self.entries(source, lambda *_: None), **merged}
                    else:
                        report(key, Mistake("<< refers to something that is not a mapping", "refer to a mapping, or a list of mappings"))
            elif not isinstance(key, yaml.ScalarNode):
                report(key, Mistake("a key must be text", value=kind(key)))
            elif key.value in own:
                report(key, Mistake(f"duplicate key, first on line {own[key.value][0].start_mark.line + 1}", "remove one of them"))
            else:
                own[key.value] = (key, value)
        return {**merged, **own} if merged else own


def position(node: yaml.Node) -> Position:
    """Line and column, from 1."""
    return _position(node.start_mark)


def _position(mark: t.Any) -> Position:
    return mark.line + 1, mark.column + 1


_KINDS = {INT: "the number", FLOAT: "the number", BOOL: "the truth value", TAG + "timestamp": "the date"}


def kind(node: yaml.Node) -> str:
    """What a node is, in words."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag == NULL:
        return "nothing"
    if node.tag == VAULT:
        return "a vaulted value"
    return f"{_KINDS.get(node.tag, 'the text')} {quoted(node.value)}"
