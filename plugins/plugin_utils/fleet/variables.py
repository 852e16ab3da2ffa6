# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory variables of one host, read with their types."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..job.errors import EMPTY, Mistake, Problem, child, did_you_mean, listed, quoted

# Of a robot's pods, the length of the prefix.
LARGEST, SMALLEST = 8, 29
# The same of IPv6. What anybody may have of it is of a site alone, or global.
LARGEST_SIX, SMALLEST_SIX = 16, 96
# RFC 6890.
_NO_ROBOTS = [ipaddress.IPv4Network(each) for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")]
_FOR_ALL = (ipaddress.IPv6Network("fc00::/7"), ipaddress.IPv6Network("2000::/3"))
_SIX_REMEDY = "such as fd4b:9a12:7c30::/64, with 40 bits of your own behind fd"
Variables = t.Mapping[str, t.Any]
# The value of a host's variable with its templates rendered and its vaulted texts decrypted. Raises ValueError with the reason.
Render = t.Callable[[str, t.Any], t.Any]
Value = t.TypeVar("Value")


class Reader:
    """Reads one host's variables. What is wrong is added to `errors`, with the host and the variable."""

    def __init__(self, host: str, variables: Variables, render: Render, errors: list[Problem]):
        self.host, self.variables, self.render, self.errors = host, variables, render, errors

    def text(self, name: str, default: str, pattern: str = "", expected: str = "") -> str:
        """A text, which matches `pattern` (in words: `expected`)."""
        value = self._value(name, default)
        if not isinstance(value, str):
            remedy = "remove it, or write a text" if value is None else "quote it" if _is_scalar(value) else ""
            self._wrong(name, Mistake("expected text", remedy, value=_shown(value)))
            return default
        if pattern and not re.fullmatch(pattern, value):
            self._wrong(name, Mistake(f"expected {expected}", value=quoted(value)))
            return default
        return str(value)

    def network(self, name: str, default: str) -> str:
        """A network of IPv4 addresses with room for pods."""
        value = self.text(name, default)
        try:
            found = ipaddress.IPv4Network(value)
        except ValueError as error:
            remedy = "that of IPv6 is k8s4r_pod_cidr6" if ":" in value else f"such as {default}"
            self._wrong(name, Mistake(f"expected a network of IPv4 addresses: {error}", value=quoted(value), value_remedy=remedy))
            return default
        if not SMALLEST >= found.prefixlen >= LARGEST:
            self._wrong(name, Mistake(f"expected a network of /{LARGEST} to /{SMALLEST}", value=quoted(value)))
            return default
        if any(found.overlaps(special) for special in _NO_ROBOTS):
            why = "these addresses mean something else: the loopback, one link, many receivers, or nobody"
            self._wrong(name, Mistake(why, f"such as {default}", value=quoted(value)))
            return default
        return value

    def network_six(self, name: str) -> str:
        """A network of IPv6 addresses with room for those of IPv4 in it; empty where it is not set."""
        value = self.text(name, "")
        if not value:
            return ""
        try:
            found = ipaddress.IPv6Network(value)
        except ValueError as error:
            self._wrong(name, Mistake(f"expected a network of IPv6 addresses: {error}", value=quoted(value), value_remedy=_SIX_REMEDY))
            return ""
        if not SMALLEST_SIX >= found.prefixlen >= LARGEST_SIX:
            self._wrong(name, Mistake(f"expected a network of /{LARGEST_SIX} to /{SMALLEST_SIX}", _SIX_REMEDY, value=quoted(value)))
            return ""
        if not any(found.subnet_of(whole) for whole in _FOR_ALL):
            self._wrong(name, Mistake("expected a network in fc00::/7 or 2000::/3", _SIX_REMEDY, value=quoted(value)))
            return ""
        return str(found)

    def choice(self, name: str, choices: t.Sequence[str]) -> str:
        """One of these texts, by default the first."""
        value = self.text(name, choices[0])
        if value in choices:
            return value
        self._wrong(name, Mistake(f"expected {listed(choices)}", value=quoted(value), value_remedy=did_you_mean(value, choices)))
        return choices[0]

    def switch(self, name: str) -> bool:
        """True or false; false where it is not set. Some inventories have these as text."""
        value = self._value(name, False)
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        self._wrong(name, Mistake("expected true or false", value=_shown(value)))
        return False

    def mapping(self, name: str) -> dict[str, str]:
        """Texts by their names. Whole numbers and truth values do as text, as each is written in one way only."""
        value = self._value(name, None) or {}
        if not isinstance(value, t.Mapping):
            self._wrong(name, Mistake("expected a mapping of names to text", value=_shown(value)))
            return {}
        raw, found = self.variables.get(name), dict[str, str]()
        written = raw if isinstance(raw, t.Mapping) else {}
        for key, content in value.items():
            if key is None or isinstance(key, bool):
                # YAML 1.1 reads yes, no, on and off as truth values.
                self._wrong(
                    name, Mistake("a name must be text", "quote it, as yes, no, on and off are not text in YAML", value=_shown(key))
                )
            elif content is None or isinstance(content, float) or not _is_scalar(content):
                # Of 1.10, YAML has left 1.1.
                remedy = EMPTY if content is None else "quote it" if isinstance(content, float) else ""
                remedy = "end the template with `| string`" if isinstance(written.get(key), str) else remedy
                self._wrong(child(name, str(key)), Mistake("expected text", remedy, value=_shown(content)), name)
            else:
                found[str(key)] = _plain(content)
        return found

    def texts(self, name: str, pattern: str, expected: str) -> list[str]:
        """A text or a list of texts, each of which matches `pattern` (in words: `expected`)."""
        value = self._value(name, None)
        if value is None:
            return []
        found = [value] if isinstance(value, str) else value
        if isinstance(found, t.Sequence) and found and all(isinstance(each, str) and re.fullmatch(pattern, each) for each in found):
            return [str(each) for each in found]
        self._wrong(name, Mistake(f"expected {expected}", value=_shown(value)))
        return []

    def names(self, name: str) -> list[str]:
        """A list of texts."""
        value = self._value(name, None) or []
        if isinstance(value, str) or not isinstance(value, t.Sequence):
            self._wrong(name, Mistake("expected a list of names", value=_shown(value)))
            return []
        return [str(item) for item in value]

    def _value(self, name: str, default: t.Any) -> t.Any:
        value = self.variables.get(name, default)
        if not _is_rendered(value):
            return value
        try:
            return self.render(self.host, value)
        except ValueError as reason:
            self._wrong(name, Mistake(f"cannot be rendered: {reason}"))
            return default

    def _wrong(self, path: str, mistake: Mistake, name: str = "") -> None:
        """`path`: the variable, or what is wrong in the variable `name`."""
        hidden = _is_secret(self.variables.get(name or path))
        self.errors.append(Problem("inventory", mistake.message(hidden), mistake.way_out(hidden), f"{self.host}.{path}"))


def agreed(readers: t.Sequence[Reader], name: str, read: t.Callable[[Reader], Value], remedy: str) -> Value:
    """A setting of the whole fleet: what the first host says, and an error where another one says something else."""
    first = readers[0]
    value = read(first)
    raw = first.variables.get(name)
    # Rendering takes most of the time with a thousand robots, and a decrypted text is worth keeping.
    constant, plain = not _has_template(raw), not _is_rendered(raw)
    for other in readers[1:]:
        theirs = other.variables.get(name)
        if (constant and theirs is raw) or (plain and theirs == raw):
            continue
        found = read(other)
        if found != value:
            shown = isinstance(value, str) and not _is_secret(raw) and not _is_secret(theirs)
            both = f"{_shown(value)} for {first.host}, but {_shown(found)} for {other.host}"
            message = both if shown else f"differs between {first.host} and {other.host}"
            first.errors.append(Problem("inventory", message, remedy, name))
            break
    return value


def _has_template(value: t.Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, t.Mapping):
        return any(_has_template(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_has_template(item) for item in value)


def _is_rendered(value: t.Any) -> bool:
    """Whether the value is not what it will be: it has a template in it, or a vaulted text."""
    return _has_template(value) or _is_secret(value)


def _is_secret(value: t.Any) -> bool:
    """Whether a vaulted text is in it. Ansible hands these over as objects of its own."""
    if isinstance(value, t.Mapping):
        return any(_is_secret(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_secret(item) for item in value)
    return not _is_scalar(value)


def _is_scalar(value: t.Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _shown(value: t.Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, t.Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return quoted(value) if isinstance(value, str) else f"the value {_plain(value)}"


def _plain(value: t.Any) -> str:
    """A label's value as text, as it looks in the inventory: YAML's true is `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
