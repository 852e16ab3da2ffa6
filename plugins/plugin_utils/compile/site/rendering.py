# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What those answer who read files and know the robot's variables: that a template cannot be rendered, and what a service is."""

from __future__ import annotations

import typing as t


class Unrendered(Exception):
    """A template that cannot be rendered: where in it and why, without a value; what to do; and the key that has the text.

    `depends`: whether it is so for this robot, and need not be for others. `also`: what else is wrong with it.
    """

    def __init__(self, message: str, remedy: str = "", key: str = "", depends: bool = False, also: t.Iterable[Unrendered] = ()) -> None:
        super().__init__(message)
        self.remedy, self.key, self.depends, self.also = remedy, key, depends, tuple(also)


class Unfound(Exception):
    """A service that a template cannot look up: why, and what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class InConsul(Unfound):
    """A service that a template cannot look up because it is in Consul alone."""


class Watched(str):
    """The text of a template that the robot renders, with what Consul knows."""

    __slots__ = ()


class LookedUp(t.NamedTuple):
    """The instances of a service, each as templates see it; and of all services that have the name, by their full names, the digest of what
    was found of them.
    """

    instances: t.Sequence[t.Mapping[str, t.Any]]
    services: t.Mapping[str, str]
