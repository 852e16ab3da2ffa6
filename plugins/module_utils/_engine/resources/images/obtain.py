# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having an image before anything is touched: it is there, or comes from its registry or a file, and it would run here.

A tag of ours says of what was pulled that it is ours to remove.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import urllib.parse

from ...plan import IMAGES
from ...say.errors import Refusal
from . import docker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ..asking import Asking

# The names that Docker has for machines, by uname's.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
# What may run on each.
RUNS = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm"), "arm": ("arm",)}
# The repository of marks: what is called so was pulled by us.
PULLED = f"{IMAGES}/pulled"
UNKNOWN = "not pulled yet\n"


def obtain(resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> str:
    """The image's id, as the content of its resource; `UNKNOWN` where the network would have to be asked, and may not be."""
    where, reference = resource["where"], resource["reference"]
    with _refusing(resource):
        found = _inspect(reference)
        brought = _brought(resource, asking, tell)
        wanted = found is None or resource["pull"] == "always" or (asking.refresh and "@" not in reference)
        if brought is not None and found is not None:
            # The name says nothing of what an artifact is by now.
            wanted = wanted or _mark(brought, found) not in (found.get("RepoTags") or ())
        if resource["pull"] == "never":
            wanted = False
        elif wanted and resource["load"] and brought is None and not os.path.isfile(resource["load"]):
            raise docker.Refused(f"this robot has no file {resource['load']}")
        if wanted and asking.online:
            found = _fetch(resource, found, asking, tell, brought)
        elif wanted:
            asking.open = True
        if found is None and (asking.online or not wanted):
            why = f"{resource['load']} has no image of this name" if wanted else "this robot does not have it, and pull is never"
            raise Refusal([f"{where}: found {reference}: {why}"])
        problems = list(_wrong(resource, found))
    if problems:
        raise Refusal(problems)
    if found is None:
        asking.later("", [f"image {reference}"])
        return UNKNOWN
    return f"{found['Id']}\n"


def try_out(resource: Resource, image: str) -> None:
    """What is found out in a container: whether it has a shell."""
    if not resource["shell"]:
        return
    with _refusing(resource):
        has = _has_shell(image)
    if not has:
        why = "variables with secret values are set by the image's own shell, and it has no /bin/sh"
        raise Refusal([f"{resource['where']}: {resource['reference']}: {why}; take another image, or remove the secrets from env"])


@contextlib.contextmanager
def _refusing(resource: Resource) -> t.Iterator[None]:
    where, reference = resource["where"], resource["reference"]
    try:
        yield
    except docker.Unavailable as error:
        why = f"Docker is not running on this robot ({error})" if _is_installed() else "this robot has no Docker"
        remedy = "start it (systemctl start docker)" if _is_installed() else "install it (Debian's docker.io)"
        raise Refusal([f"{where}: {why}; {remedy}, or exclude the robot by a constraint"]) from error
    except docker.Refused as error:
        raise Refusal([f"{where}: {reference} cannot be had: {error}"]) from error


def _brought(resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> str | None:
    """The SHA-256 of the artifact that the image is loaded from; empty as long as it is not known, None where it is none."""
    if "source" not in resource:
        return None
    from ...fetch.cache import Unfetched

    source: t.Any = resource["source"]
    try:
        return asking.fetcher.find(source, tell) or ""
    except Unfetched as error:
        raise Refusal([f"{resource['where']}: {resource['load']} cannot be had: {error}"]) from None


def _fetch(resource: Resource, before: t.Any, asking: Asking, tell: t.Callable[[str], None], brought: str | None) -> t.Any:
    """What there is by then; where somebody wants to know whether there is something new, and gets no answer, what was there ``before``."""
    reference = resource["reference"]
    tell("loading it" if resource["load"] else "pulling it")
    try:
        if resource["load"]:
            docker.load(resource["load"] if brought is None else asking.fetcher.cache.path(brought))
        else:
            auth = resource.get("auth")
            path = f"/images/create?fromImage={quoted(full(reference))}"
            docker.pull(path, {**auth, "serveraddress": registry(reference)} if auth else None, tell)
    except docker.Refused as error:
        if before is None or resource["pull"] == "always" or brought is not None:
            raise
        asking.news.append(("", f"image {reference} stays as it is: {error}"))
        return before
    made = _inspect(reference)
    if made is not None and (before is None or any(name.startswith(mark(reference)) for name in before.get("RepoTags") or ())):
        _call(made, mark(reference) + _short(made))
    if made is not None and brought is not None:
        _call(made, _mark(brought, made))
    return made


def _call(image: t.Any, name: str) -> None:
    repository, _colon, tag = name.rpartition(":")
    docker.post(f"/images/{quoted(image['Id'])}/tag?repo={quoted(repository)}&tag={tag}")


def _mark(sha256: str, image: t.Any) -> str:
    """What an image is called, too, that was loaded from this artifact."""
    return f"{PULLED}:{sha256[:32]}-{_short(image)}"


def _short(image: t.Any) -> str:
    found: str = image["Id"][len("sha256:") :][:12]
    return found


def _wrong(resource: Resource, found: t.Any) -> t.Iterator[str]:
    where, reference = resource["where"], resource["reference"]
    machine = os.uname().machine
    mine = MACHINES.get(machine, machine)
    if found is not None and (found["Os"] != "linux" or found["Architecture"] not in RUNS.get(mine, (mine,))):
        yield f"{where}: {reference} is for {found['Os']}/{found['Architecture']}, and this robot is linux/{mine}; name one that is for it"
    if resource["gpus"] and "nvidia" not in docker.get("/info").get("Runtimes", {}):
        yield f"{where}: gpus: this robot has no container runtime of NVIDIA's; install nvidia-container-toolkit, or remove gpus"


def _has_shell(image: str) -> bool:
    """Looked up in a container that is made for it and never started."""
    made = docker.make("/containers/create", {"Image": image, "Entrypoint": ["/bin/sh"], "HostConfig": {"NetworkMode": "none"}})["Id"]
    try:
        return docker.has(f"/containers/{made}/archive?path=/bin/sh")
    finally:
        docker.delete(f"/containers/{made}?force=1&v=1")


def _inspect(reference: str) -> t.Any:
    return docker.get(f"/images/{quoted(reference)}/json")


def _is_installed() -> bool:
    return any(os.path.exists(f"{directory}/dockerd") for directory in ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"))


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe=":/@")


def full(reference: str) -> str:
    """With a tag: without one, Docker's API would pull them all."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def registry(reference: str) -> str:
    host, slash, _rest = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else "https://index.docker.io/v1/"


def mark(reference: str) -> str:
    """How the name begins of what was pulled as that; its end is by the image."""
    return f"{PULLED}:{hashlib.sha256(full(reference).encode('utf-8')).hexdigest()[:32]}-"
