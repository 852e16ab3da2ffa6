# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of others for a release: registries of images, and servers of artifacts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..fetch.sources import Fetcher
    from ..state.robot import Robot


class Asking:
    """One walk over the resources of a plan.

    ``online``: whether it may ask the network. ``refresh``: whether it asks for what it has, too. ``needed``: the SHA-256 of downloads
    that stay. ``open``: whether anything is still to be asked. ``news``: what a person is told of a resource, each with its unit.
    """

    def __init__(self, robot: Robot, online: bool, refresh: bool, needed: t.Callable[[], set[str]]) -> None:
        self.online = online
        self.refresh = refresh
        self.open = refresh and not online
        self.news: list[tuple[str, str]] = []
        self._robot = robot
        self._needed = needed
        self._fetcher: Fetcher | None = None

    @property
    def fetcher(self) -> Fetcher:
        """What has the bytes of artifacts. Jobs without any do not wait for all that speaks HTTP."""
        if self._fetcher is None:
            from ..fetch.cache import Cache
            from ..fetch.sources import Fetcher

            cache, needed = Cache(f"{self._robot.state}/cache"), self._needed() if self.online else set()
            if self.online:
                cache.make()
                cache.clean(needed)
            self._fetcher = Fetcher(cache, self._robot.digest, self.online, self.refresh, needed)
        return self._fetcher

    def later(self, unit: str, texts: t.Iterable[str]) -> None:
        """This can be said when the network has been asked."""
        self.open = True
        self.news += [(unit, f"{text} is still to be fetched") for text in texts]

    def settle(self) -> None:
        """What was had could be used: from now on addresses without a checksum are these bytes."""
        if self._fetcher is not None:
            self._fetcher.settle()
