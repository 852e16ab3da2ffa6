# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having an image before anything is touched: it is there, or comes from its registry or a file, and it would run here."""

from __future__ import annotations

import contextlib
import os

from ...plan import IMAGES
from ...say.errors import Refusal
from . import engines, names
from .failures import Refused, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ...plan import Resource
    from ..asking import Asking

# The names that Docker has for machines, by uname's.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
# What may run on each.
RUNS = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm"), "arm": ("arm",)}
UNKNOWN = "not pulled yet\n"
# Of the group, in the job file.
CONSTRAINT = '{lTarget: "${node.unique.name}", operand: "!=", rTarget: <its name>}'


def obtain(resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> str:
    """The image's id, as the content of its resource; `UNKNOWN` where the network would have to be asked, and may not be."""
    where, reference = resource["where"], resource["reference"]
    with _refusing(resource):
        engines.of(resource).fit()
        found = engines.of(resource).inspect(reference)
        brought = _brought(resource, asking, tell)
        wanted = found is None or resource["pull"] == "always" or (asking.refresh and "@" not in reference)
        if brought is not None and found is not None:
            # The name says nothing of what an artifact is by now.
            wanted = wanted or _mark(brought, found) not in (found.get("RepoTags") or ())
        if resource["pull"] == "never":
            wanted = False
        elif wanted and resource["load"] and brought is None:
            _must_be_roots(resource["load"])
        if wanted and asking.online:
            found = _fetch(resource, found, asking, tell, brought)
        elif wanted:
            asking.open = True
            if found is not None and asking.refresh:
                # Said of a check alone: in a run, what comes of it is.
                asking.news.append(("", f"image {reference} will be asked for again"))
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
        has = engines.of(resource).has_shell(image)
    if not has:
        why = "variables with secret values are set by the image's own shell, and it has no /bin/sh"
        raise Refusal([f"{resource['where']}: {resource['reference']}: {why}; take another image, or remove the secrets from env"])


@contextlib.contextmanager
def _refusing(resource: Resource) -> t.Iterator[None]:
    where, reference = resource["where"], resource["reference"]
    try:
        yield
    except Unavailable as error:
        raise Refusal([f"{where}: {engines.of(resource).explain(error)}, or exclude the robot by a constraint: {CONSTRAINT}"]) from error
    except Refused as error:
        raise Refusal([f"{where}: {reference} cannot be obtained: {error}"]) from error


def _brought(resource: Resource, asking: Asking, tell: t.Callable[[str], None]) -> str | None:
    """The SHA-256 of the artifact that the image is loaded from; empty as long as it is not known, None where it is none."""
    if "source" not in resource:
        return None
    from ...fetch.cache import Unfetched

    source: t.Any = resource["source"]
    try:
        return asking.fetcher.find(source, tell) or ""
    except Unfetched as error:
        raise Refusal([f"{resource['where']}: {resource['load']} cannot be obtained: {error}"]) from None


def _must_be_roots(path: str) -> None:
    """A file of the robot's own may become an image only if nobody but root can change it. Raises `Refused`."""
    from ...fetch import local
    from ...fetch.cache import Unfetched

    if not os.path.isfile(path):
        raise Refused(f"this robot has no file {path}")
    try:
        os.close(local.opened(path))
    except Unfetched as error:
        raise Refused(str(error)) from None


def _fetch(resource: Resource, before: t.Any, asking: Asking, tell: t.Callable[[str], None], brought: str | None) -> t.Any:
    """What there is by then; where somebody wants to know whether there is something new, and gets no answer, what was there ``before``."""
    engine, reference = engines.of(resource), resource["reference"]
    tell("loading it" if resource["load"] else "pulling it")
    try:
        if resource["load"]:
            with _names_kept(engine, reference):
                engine.load(resource["load"] if brought is None else asking.fetcher.cache.path(brought), tell)
        else:
            engine.pull(reference, resource.get("auth"), tell)
    except Refused as error:
        if before is None or resource["pull"] == "always" or brought is not None:
            raise
        asking.news.append(("", f"image {reference} stays as it is: {error}"))
        return before
    made = engine.inspect(reference)
    if made is not None:
        mine = names.mark(engine.called(reference, made))
        if before is None or any(name.startswith(mine) for name in before.get("RepoTags") or ()):
            engine.mark(made["Id"], engine.called(reference, made))
        if brought is not None:
            engine.tag(made["Id"], _mark(brought, made))
    return made


@contextlib.contextmanager
def _names_kept(engine: t.Any, reference: str) -> t.Iterator[None]:
    """Of what a file brings, no image takes a name from another one, but for the one that is asked for: other tasks know their images by
    theirs. Nor has it a name of ours.
    """
    asked = names.every(reference)
    before = _names(engine)
    try:
        yield
    finally:
        after = _names(engine)
        for name, image in before.items():
            if name not in asked and after.get(name) != image:
                engine.tag(image, name)
        for name in set(after) - set(before):
            if name.startswith(f"{IMAGES}/"):
                engine.remove(name)


def _names(engine: t.Any) -> dict[str, str]:
    """The image of each name."""
    return {name: image["Id"] for image in engine.images() for name in image.get("RepoTags") or ()}


def _mark(sha256: str, image: t.Any) -> str:
    """What an image is called, too, that was loaded from this artifact. Its end is no time, which a mark of Podman's has there."""
    return f"{names.PULLED}:{sha256[:32]}-{image['Id'][len('sha256:') :][:12]}-loaded"


def _wrong(resource: Resource, found: t.Any) -> t.Iterator[str]:
    where, reference = resource["where"], resource["reference"]
    machine = os.uname().machine
    mine = MACHINES.get(machine, machine)
    if found is not None and (found["Os"] != "linux" or found["Architecture"] not in RUNS.get(mine, (mine,))):
        yield f"{where}: {reference} is for {found['Os']}/{found['Architecture']}, and this robot is linux/{mine}; name one that is for it"
    if resource["gpus"] and not engines.of(resource).has_gpus():
        yield f"{where}: gpus: this robot has no container runtime of NVIDIA's; install nvidia-container-toolkit, or remove gpus"
