# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML nodes as dataclasses of the model, key by key; what is wrong is noted with its place, and reading goes on."""

from __future__ import annotations

import collections.abc as c
import enum
import re
import typing as t

import yaml

from ..declare.keys import Secret, Support
from ..declare.shape import Field, by_name
from ..errors import ALIKE, VERY, Mistake, Position, Problem, child, nearest, position_of, quoted
from . import elsewhere, nodes, scalars, texts
from .source import Options, Source

PASSWORD = "add --vault-password-file <file with the password>, or --ask-vault-pass to be asked for it"


class Objects:
    """Reading of one document; errors, warnings and the positions of paths gather here."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source, self.options = source, options
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        # Keys that were probably meant by others that are unknown.
        self.meant: set[str] = set()
        self.positions: dict[str, Position] = {"": (0, 0)}
        self.walk = nodes.Walk()
        # The objects that contain the one that is being read, from the outermost.
        self._above: list[elsewhere.Above] = []

    def error(self, path: str, mistake: Mistake) -> None:
        self.errors.append(self._problem(path, mistake))

    def warn(self, path: str, mistake: Mistake) -> None:
        self.warnings.append(self._problem(path, mistake))

    def _problem(self, path: str, mistake: Mistake) -> Problem:
        return self.source.problem(mistake, path, position_of(self.positions, path, self.positions[""]))

    def _entries(self, node: yaml.Node, path: str, remedy: str) -> nodes.Entries | None:
        self.positions.setdefault(path, nodes.position(node))
        if not isinstance(node, yaml.MappingNode):
            self.error(path, Mistake("expected a mapping", remedy, value=nodes.kind(node)))
            return None
        if self._vaulted(node, path):
            return None

        def report(key: yaml.Node, mistake: Mistake) -> None:
            mistake.at = nodes.position(key)
            self.error(child(path, key.value) if isinstance(key, yaml.ScalarNode) else path, mistake)

        return self.walk.entries(node, report)

    def _vaulted(self, node: yaml.Node, path: str) -> bool:
        """Whether ``!vault`` is before a complete list or mapping, which is an error."""
        if node.tag != nodes.VAULT:
            return False
        try:
            texts.vaulted(node)
        except Mistake as mistake:
            self.error(path, mistake)
        return True

    def _unknown(self, key: str, node: yaml.Node, path: str, known: c.Iterable[str], belongs: str = "", meant: str = "") -> str:
        """Note an unknown key, and return which was probably meant; empty if none was. `belongs` says where there is a key of that name,
        and `meant` is one that is called so elsewhere.
        """
        at = child(path, key)
        self.positions[at] = nodes.position(node)
        # One that is very nearly a key of this place is rather that, spelt wrong, than one of another place.
        close = meant or nearest(key, known, VERY if belongs else ALIKE) or ""
        remedy = f"did you mean {close}?" if close else belongs or f"known keys: {', '.join(known)}"
        self.error(at, Mistake("unknown key", remedy))
        if close:
            self.meant.add(child(path, close))
        return close

    def _object(self, cls: type, node: yaml.Node, path: str) -> t.Any:
        return cls(**self._values(by_name(cls), node, path))

    def _values(self, known: t.Mapping[str, Field], node: yaml.Node, path: str, entries: nodes.Entries | None = None) -> dict[str, t.Any]:
        """Attribute values of an object. One that is wrong is left out, or None where it is required; its error is noted."""
        values: dict[str, t.Any] = {}
        misspelt: set[str] = set()
        if entries is None:
            entries = self._entries(node, path, f"known keys: {', '.join(offered(known))}")
        self._above.append(elsewhere.Above(path, known, entries or {}))
        for key, (key_node, value) in (entries or {}).items():
            field = known.get(key)
            at = child(path, key)
            if field is None:
                belongs = elsewhere.remedy(key, known, self._above[:-1])
                misspelt.add(self._unknown(key, key_node, path, offered(known), belongs, _meant(known, key)))
            elif field.key.support is Support.REFUSED:
                self.positions[at] = nodes.position(key_node)
                self.error(at, Mistake(scalars.NOT_SUPPORTED, "remove it"))
            elif field.attribute in values:
                self.positions[at] = nodes.position(key_node)
                self.error(at, Mistake("another spelling of this key is given too", f"write {field.name} once"))
            else:
                values[field.attribute] = self._value(field, value, at)
                if field.key.support is Support.NO_EFFECT:
                    self.warn(at, Mistake(field.key.never or "has no effect yet"))
        self._above.pop()
        for field in known.values():
            if not field.required:
                if values.get(field.attribute, 0) is None:
                    del values[field.attribute]
            elif field.attribute not in values:
                values[field.attribute] = None
                # One mistake is one error.
                if entries is not None and field.name not in misspelt:
                    self.error(child(path, field.name), Mistake("is missing", _what(field)))
        return values

    def _value(self, field: Field, node: yaml.Node, path: str) -> t.Any:
        self.positions[path] = nodes.position(node)
        if field.many is tuple:
            return self._list(field, node, path)
        if field.many is dict:
            return self._texts(field, node, path)
        return self._one(field, node, path)

    def _list(self, field: Field, node: yaml.Node, path: str) -> tuple[t.Any, ...] | None:
        if not isinstance(node, yaml.SequenceNode):
            self.error(path, Mistake("expected a list", "begin each item with -", value=nodes.kind(node)))
            return None
        if self._vaulted(node, path):
            return None
        self.walk.spend(len(node.value), node)
        if field.key.min_items is not None and len(node.value) < field.key.min_items:
            self.error(path, Mistake("is empty", _what(field)))
        return tuple(self._one(field, item, f"{path}[{number}]") for number, item in enumerate(node.value))

    def _texts(self, field: Field, node: yaml.Node, path: str) -> dict[str, str] | None:
        entries = self._entries(node, path, "write one KEY: value on each line")
        if entries is None:
            return None
        found = {}
        for key, (key_node, value) in entries.items():
            at = child(path, key)
            self.positions[at] = nodes.position(key_node)
            try:
                texts.valid_text(texts.raw_text(key_node))
                if field.key.key_pattern and not re.fullmatch(field.key.key_pattern, key):
                    what, remedy = field.key.names
                    raise Mistake(f"cannot name {what}", remedy, value=quoted(key))
                if not key:
                    raise Mistake("the key is empty", "give it a name")
            except Mistake as mistake:
                self.error(at, mistake)
            text = self._one(field, value, at)
            if text is not None:
                found[key] = text
        return found

    def _one(self, field: Field, node: yaml.Node, path: str) -> t.Any:
        """One value of a field's type, or None with its error noted."""
        self.positions[path] = nodes.position(node)
        try:
            if field.key.secret and (node.tag == nodes.VAULT or self.source.vaulted):
                return Secret(self._decrypted(node) if node.tag == nodes.VAULT else texts.text(field, node))
            read = scalars.SCALARS.get(field.type)
            if read is not None:
                return read(field, node)
            if issubclass(field.type, enum.Enum):
                return scalars.member(field, node)
            if field.key.shorthand is not None and node.tag == nodes.BOOL:
                return field.key.shorthand[scalars.boolean(field, node)]
            if field.key.text_is is not None and isinstance(node, yaml.ScalarNode):
                meant = by_name(field.type)[field.key.text_is]
                value = scalars.member(meant, node) if issubclass(meant.type, enum.Enum) else texts.text(meant, node)
                return field.type(**{meant.attribute: value})
        except Mistake as mistake:
            if isinstance(node, yaml.ScalarNode) and "{{" in node.value and not self.source.rendered:
                mistake.value_remedy = nodes.JINJA
            self.error(path, mistake)
            return None
        return self._object(field.type, node, path)

    def _decrypted(self, node: yaml.Node) -> str:
        encrypted = texts.vaulted(node)
        if self.options.decrypt is None:
            raise Mistake("found a vaulted value, but no vault password was given", PASSWORD, cause="no password")
        try:
            text = self.options.decrypt(encrypted)
        except ValueError as error:
            raise Mistake(f"cannot be decrypted ({error})", "check the vault password", cause="wrong password") from None
        texts.valid_text(text)
        return text


def offered(known: t.Mapping[str, Field]) -> list[str]:
    """Keys worth naming to someone who looks for one."""
    return [name for name, field in known.items() if field.name == name and field.key.support is not Support.REFUSED]


def _meant(known: t.Mapping[str, Field], key: str) -> str:
    """The key that is called so elsewhere; empty if none is."""
    word = key.lower()
    return next((name for name, field in known.items() if word in map(str.lower, field.key.meant_by)), "")


def _what(field: Field) -> str:
    doc = field.key.doc
    return f"required: {doc[0].lower()}{doc[1:].rstrip('.')}"
