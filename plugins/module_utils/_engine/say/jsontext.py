# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as text, for what an unchanged deploy reads and writes: it waits for every import, and `json` imports `re` and all that it needs.

The scanner is the one that `json` itself uses, written in C. Where a Python has none of that kind, `json` does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


class _Options:
    """The options that `json.loads` gives the scanner by default."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> t.NoReturn:
        raise ValueError(f"{name} is not JSON")


try:
    import _json

    _quoted: t.Callable[[str], str] = _json.encode_basestring_ascii
    _make_scanner: t.Callable[[t.Any], t.Callable[[str, int], tuple[t.Any, int]]] = _json.make_scanner
    _scan = _make_scanner(_Options)
except (ImportError, AttributeError, TypeError):
    import json

    _scan = json.JSONDecoder().raw_decode
    _quoted = json.dumps

_CONSTANTS = {None: "null", True: "true", False: "false"}


def loads(text: str) -> t.Any:
    """The value of a JSON text; raises `ValueError` where it is none."""
    text = text.strip(" \t\r\n")
    try:
        value, end = _scan(text, 0)
    except (StopIteration, SystemError):
        # The scanner finds no class for its error where `json.decoder` is not imported, and Python calls that a SystemError.
        raise ValueError("not JSON") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value


def dumps(value: object) -> str:
    """JSON in its one spelling: keys sorted, no spaces, ASCII."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quoted(key)}:{dumps(item)}" for key, item in sorted(value.items())]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([dumps(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} is not JSON")
