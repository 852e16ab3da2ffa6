# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker does with images."""

from __future__ import annotations

import calendar
import os
import time
import urllib.parse

from . import api, names
from .failures import Silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .failures import Unavailable

DIRECTORIES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")

# What older ones say in the place of a name.
UNTAGGED = "<none>:<none>"


def fit() -> None:
    """Each version of it has what we ask."""


def inspect(reference: str) -> t.Any:
    """What there is by that name; None where nothing is. Without a tag, it might be the beginning of an image's id."""
    return api.get(f"/images/{_quoted(names.full(reference))}/json")


def identity(name: str) -> str | None:
    """The id of the image that has the name, None where none has."""
    found = inspect(name)
    return found["Id"] if found else None


def explain(error: Unavailable) -> str:
    """Why it gives no answer, and what helps."""
    if isinstance(error, Silent):
        return f"Docker gives no answer on this robot ({error}); look at its journal (journalctl -u docker)"
    if any(os.path.exists(f"{directory}/dockerd") for directory in DIRECTORIES):
        return f"Docker is not running on this robot ({error}); start it (systemctl start docker)"
    return "this robot has no Docker; install it (Debian's docker.io)"


def called(reference: str, _found: t.Any) -> str:
    """The name that an image has by which it was pulled."""
    return names.full(reference)


def pull(reference: str, auth: t.Mapping[str, str] | None, tell: t.Callable[[str], None]) -> None:
    server = {"serveraddress": names.registry(reference) or "https://index.docker.io/v1/"}
    api.pull(f"/images/create?fromImage={_quoted(names.full(reference))}", {**auth, **server} if auth else None, tell)


def load(file: str, tell: t.Callable[[str], None]) -> None:
    api.load(file, tell)


def tag(image: str, name: str) -> None:
    repository, _colon, tag = name.rpartition(":")
    api.post(f"/images/{_quoted(image)}/tag?repo={_quoted(repository)}&tag={tag}")


def mark(image: str, reference: str) -> None:
    """What was pulled as that is ours to remove."""
    tag(image, f"{names.mark(reference)}{image[len('sha256:') :][:12]}")


def mark_again(image: str, name: str) -> None:
    """Docker notes when it was asked for a name, also for one that the image has."""
    tag(image, name)


def remove(name: str) -> bool:
    """The name, and the image with its last one; whether it is gone. One that others use stays."""
    return api.delete(f"/images/{_quoted(name)}")


def images() -> t.Sequence[t.Any]:
    found = api.get("/images/json") or ()
    return [{**each, "RepoTags": [name for name in each.get("RepoTags") or () if name != UNTAGGED]} for each in found]


def age(image: t.Any) -> float:
    """For how many seconds it has had the names that it has."""
    found = inspect(image["Id"]) or {}
    moment = found.get("Metadata", {}).get("LastTagTime", "")[:19]
    return time.time() - calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")) if moment else 0.0


def has_shell(image: str) -> bool:
    """Looked up in a container that is made for it and never started."""
    made = api.make("/containers/create", {"Image": image, "Entrypoint": ["/bin/sh"], "HostConfig": {"NetworkMode": "none"}})["Id"]
    try:
        return api.has(f"/containers/{made}/archive?path=/bin/sh")
    finally:
        api.delete(f"/containers/{made}?force=1&v=1")


def has_gpus() -> bool:
    return "nvidia" in api.get("/info").get("Runtimes", {})


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe=":/@")
