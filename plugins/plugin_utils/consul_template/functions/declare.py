# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the functions of templates are declared: each with the types of its arguments, which Go would check too."""

from __future__ import annotations

import functools
import typing as t

from ..faults import Refusal
from ..values import NoValue, kind

Function = t.Callable[..., t.Any]
LARGEST = 2**20
_WORDS: t.Mapping[t.Any, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a map"}


def bounded(value: t.Any) -> t.Any:
    """A result no larger than a file may become. Doubling a text again and again would fill the memory within the time limit."""
    if isinstance(value, (str, list, dict)) and len(value) > LARGEST:
        raise Refusal(f"gives more than {LARGEST:,} characters or items")
    return value


class Functions(dict[str, Function]):
    """Functions by their names in templates."""

    def takes(self, name: str, *kinds: type, optional: int = 0) -> t.Callable[[Function], Function]:
        """Declare a function that takes arguments of these types; the last `optional` ones may be left out. `object` is anything."""

        def declare(function: Function) -> Function:
            @functools.wraps(function)
            def checked(*arguments: t.Any) -> t.Any:
                if not len(kinds) - optional <= len(arguments) <= len(kinds):
                    raise Refusal(f"{name} takes {len(kinds)} arguments, and was given {len(arguments)}")
                for number, (wanted, given) in enumerate(zip(kinds, arguments, strict=False), 1):
                    if wanted is not object and (not isinstance(given, wanted) or (wanted is int and isinstance(given, bool))):
                        raise Refusal(f"argument {number} of {name} must be {_WORDS[wanted]}, and is {kind(given)}")
                return bounded(function(*arguments))

            self[name] = checked
            return checked

        return declare

    def many(self, name: str, least: int = 0) -> t.Callable[[Function], Function]:
        """Declare a function that takes at least `least` arguments."""

        def declare(function: Function) -> Function:
            @functools.wraps(function)
            def checked(*arguments: t.Any) -> t.Any:
                if len(arguments) < least:
                    raise Refusal(f"{name} takes at least {least} arguments, and was given {len(arguments)}")
                return bounded(function(*[None if isinstance(argument, NoValue) else argument for argument in arguments]))

            self[name] = checked
            return checked

        return declare
