# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where artifacts come from: a getter is a file beside this one and its row in the table."""

from __future__ import annotations

import hmac
import json

from . import git, local, s3, web
from .cache import Unfetched, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .cache import Cache, Pin
    from .shapes import Item, Room, Source, Tell

    # Downloads into a file; nothing where what was there before is still right.
    Getter = t.Callable[[Source, str, Pin, Room, Tell], t.Optional[Pin]]


GETTERS: t.Mapping[str, Getter] = {"http": web.fetch, "git": git.fetch, "s3": s3.fetch, "file": local.fetch, "sent": local.sent}
KEYS: t.Mapping[str, type] = {
    **dict.fromkeys(
        ("get", "url", "user", "password", "shown", "ref", "key", "region", "checksum", "archive", "subdir", "name", "mode", "to"), str
    ),
    "headers": dict,
    "depth": int,
}
# What says which bytes an address has.
_IDENTITY = ("get", "url", "user", "password", "headers", "ref", "key", "checksum")
# The end of the key of what an address had when nobody knew yet whether it can be used. A robot asks such a one again.
_UNPROVEN = ".new"
_REFRESH = "add -e refresh=true to take what it has now"


class Fetcher:
    """Finds the bytes of artifacts. ``digest``: keyed, so that what is remembered tells nothing of credentials.

    ``online``: whether it may ask the network. ``refresh``: whether it asks for what it has, too. ``needed``: digests that stay.
    """

    def __init__(self, cache: Cache, digest: t.Callable[[str], str], online: bool, refresh: bool, needed: set[str]) -> None:
        self.cache = cache
        self.digest = digest
        self.online = online
        self.refresh = refresh
        self.needed = needed
        self.news: list[str] = []
        # What addresses have that were asked now, by their keys: all tasks get the same.
        self._asked: dict[str, str] = {}

    def find(self, source: Source, tell: Tell) -> str | None:
        """The SHA-256 of an artifact, which the cache has then; None where that cannot be known offline. Raises `Unfetched`."""
        algorithm, _colon, wanted = source["checksum"].partition(":")
        if algorithm == "sha256" and self.cache.has(wanted):
            return wanted
        key = self.key(source)
        if key in self._asked:
            return self._asked[key]
        pin = self.cache.pin(key)
        known = pin.get("sha256", "")
        has = bool(known) and self.cache.has(known)
        if has and (wanted or not self.refresh):
            return known
        if not self.online:
            if has:
                # Said of a check alone: in a run, what comes of it is.
                self.news.append(f"{source['shown']} will be asked again")
                return known
            return None
        self.cache.make()
        try:
            found = self._download(source, key, pin if has else {}, tell)
        except Unfetched as error:
            if not has:
                raise
            self.news.append(f"{source['shown']} stays sha256:{known}: {error}")
            found = None
        if found is None:
            return known
        self._compare(found["sha256"], algorithm, wanted)
        if known and known != found["sha256"] and not (self.refresh or wanted):
            raise Unfetched(f"it is sha256:{found['sha256']} now, and was sha256:{known} when it was first fetched; {_REFRESH}")
        if algorithm != "sha256":
            self.cache.remember(key + _UNPROVEN, found)
            self._asked[key] = found["sha256"]
        if not wanted and known != found["sha256"]:
            was = f"was sha256:{known} and " if known else ""
            self.news.append(f"{source['shown']} {was}is sha256:{found['sha256']}")
        return found["sha256"]

    def key(self, source: Source) -> str:
        """By which it is remembered what an address had."""
        return self.digest(json.dumps({name: value for name, value in source.items() if name in _IDENTITY}, sort_keys=True))

    def settle(self) -> None:
        """What addresses turned out to have could be used: from now on they are these bytes."""
        for key in self._asked:
            self.cache.confirm(key + _UNPROVEN, key)
        self._asked.clear()

    def _download(self, source: Source, key: str, before: Pin, tell: Tell) -> Pin | None:
        """None: the address has what it had ``before``."""

        def room(size: int) -> None:
            self.cache.make_room(size, self.needed)

        unproven = self.cache.pin(key + _UNPROVEN)
        if not (unproven.get("sha256") and self.cache.has(unproven["sha256"])):
            unproven = {}
        found = GETTERS[source["get"]](source, self.cache.partial(key), unproven or before, room, tell)
        if found is None:
            return unproven or None
        # Kept even if it is refused: whoever corrects the job does not have to wait for it once more.
        self.cache.keep(key, found["sha256"])
        return found

    def _compare(self, sha256: str, algorithm: str, wanted: str) -> None:
        if not wanted:
            return
        found = sha256 if algorithm == "sha256" else digest_of(self.cache.path(sha256), algorithm)
        if not hmac.compare_digest(found, wanted):
            raise Unfetched(f"its checksum is {algorithm}:{found}, and the job wants {algorithm}:{wanted}")


def item(source: Source, sha256: str) -> Item:
    return {
        "sha256": sha256,
        "archive": source["archive"],
        "subdir": source["subdir"],
        "name": source["name"],
        "mode": source["mode"],
        "to": source["to"],
    }
