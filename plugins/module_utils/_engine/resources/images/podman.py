# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Podman does with images. It has no engine that runs all the time: each question is a process, and what it knows is asked once."""

from __future__ import annotations

import base64
import json
import os
import time

from ...system import command
from . import names
from .failures import Refused, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

# Seconds. A registry that says nothing is given up by Podman itself.
ANSWER, PULL = 120, 3600
# Exit statuses: of coreutils' timeout, and of a program that is not there.
TIMED_OUT, MISSING = 124, 127
# Since when it can write straight to a task's log.
OLDEST = 4
# Of a container in which something is looked up.
LOOK = "k8s4r-look"
_KNOWN: dict[str, t.Sequence[t.Any]] = {}


def fit() -> None:
    """Raises `Unavailable` where it is too old for the options that containers are started with."""
    if "version" not in _KNOWN:
        said = _need("--version").strip()
        version = [int(word) for word in said.rpartition(" ")[2].split(".")[:2] if word.isdecimal()]
        if version and version[0] < OLDEST:
            raise Unavailable(f"installed: Podman {'.'.join(map(str, version))}; {OLDEST}.0 or newer is needed")
        _KNOWN["version"] = version


def inspect(reference: str) -> t.Any:
    """What there is by that name; None where nothing is."""
    # With a tag: without one, it might be the beginning of an image's id.
    for name in dict.fromkeys((names.full(reference), names.with_registry(reference))):
        if _run("image", "exists", name)[0] == 0:
            (found,) = json.loads(_need("image", "inspect", "--format", "json", name, errors=False))
            return {**found, "Id": _id(found["Id"])}
    return None


def identity(name: str) -> str | None:
    """The id of the image that has the name, None where none has."""
    return next((each["Id"] for each in images() if name in each["RepoTags"]), None)


def explain(error: Unavailable) -> str:
    """Why it gives no answer, and what helps."""
    return f"{error}, which Debian has from 12 and Ubuntu from 24.04 on; use docker"


def called(reference: str, found: t.Any) -> str:
    """The name that an image has by which it was pulled: Podman's own have a registry."""
    own = found.get("RepoTags") or ()
    known = (names.full(reference), names.with_registry(reference), f"localhost/{names.full(reference)}")
    return next((name for name in known if name in own), names.with_registry(reference))


def pull(reference: str, auth: t.Mapping[str, str] | None, _tell: t.Callable[[str], None]) -> None:
    """It says nothing of how far it is where nobody looks. A password is in a file that has no name, in memory."""
    wanted = names.with_registry(reference)
    if auth is None:
        _need("pull", "--quiet", wanted, timeout=PULL)
        return
    pair = base64.b64encode(f"{auth['username']}:{auth['password']}".encode()).decode("ascii")
    login = os.memfd_create("login", 0)
    try:
        os.write(login, json.dumps({"auths": {names.registry(wanted): {"auth": pair}}}).encode("utf-8"))
        _need("pull", "--quiet", f"--authfile=/proc/self/fd/{login}", wanted, timeout=PULL)
    finally:
        os.close(login)


def load(file: str, _tell: t.Callable[[str], None]) -> None:
    _need("load", "--quiet", "--input", file, timeout=PULL)


def tag(image: str, name: str) -> None:
    _need("tag", image, name)


def mark(image: str, reference: str) -> None:
    """What was pulled as that is ours to remove. Podman does not say when; the mark does."""
    tag(image, f"{names.mark(reference)}{_id(image)[len('sha256:') :][:12]}-{time.time():.0f}")


def mark_again(image: str, name: str) -> None:
    """The moment in its mark is another one. Where an artifact's mark has none, it stays."""
    stem, _dash, end = name.rpartition("-")
    now = f"{stem}-{time.time():.0f}"
    if end.isdecimal() and now != name:
        tag(image, now)
        remove(name)


def remove(name: str) -> bool:
    """The name, and the image with its last one; whether it is gone. One that others use stays."""
    return _run("rmi", name)[0] in (0, 1)


def images() -> t.Sequence[t.Any]:
    if "images" not in _KNOWN:
        found = json.loads(_need("image", "ls", "--format", "json", errors=False) or "[]")
        _KNOWN["images"] = [{**each, "Id": _id(each["Id"]), "RepoTags": each.get("Names") or []} for each in found]
    return _KNOWN["images"]


def age(image: t.Any) -> float:
    """For how many seconds we have had it."""
    marked = [name.rpartition("-")[2] for name in image["RepoTags"] if name.startswith(f"{names.PULLED}:")]
    return time.time() - max((float(text) for text in marked if text.isdecimal()), default=time.time())


def has_shell(image: str) -> bool:
    """Looked up in a container that is made for it and never started."""
    _run("rm", "--force", "--ignore", LOOK)
    _need("create", "--pull=never", "--network=none", f"--name={LOOK}", "--entrypoint=/bin/sh", image)
    try:
        # However large it is, nobody keeps it.
        look = ["/bin/sh", "-c", 'exec podman cp "$1" - >/dev/null', "sh", f"{LOOK}:/bin/sh"]
        return command.run(look, True, ANSWER, _environment())[0] == 0
    finally:
        _run("rm", "--force", "--ignore", LOOK)


def has_gpus() -> bool:
    return False


def _id(text: str) -> str:
    return text if text.startswith("sha256:") else f"sha256:{text}"


def _need(*words: str, timeout: float = ANSWER, errors: bool = True) -> str:
    """What it printed. ``errors``: with its warnings, and why it failed."""
    status, output = _run(*words, timeout=timeout, errors=errors)
    if status == TIMED_OUT:
        raise Refused(f"podman {words[0]} gave no answer within {timeout:g} s")
    if status:
        lines = [line for line in output.strip().splitlines() if line] or [f"podman {words[0]} ended with status {status}"]
        raise Refused(lines[-1].partition("Error: ")[2] or lines[-1])
    return output


def _run(*words: str, timeout: float = ANSWER, errors: bool = True) -> tuple[int, str]:
    if words[0] not in ("image", "cp"):
        _KNOWN.clear()
    status, output = command.run(["podman", *words], errors, timeout, _environment())
    if status == MISSING:
        raise Unavailable(f"this robot has no Podman; install {OLDEST}.0 or newer")
    return status, output


def _environment() -> dict[str, str]:
    """Neither what belongs to systemd's own nor a home: what is said to Podman is said in its files in /etc."""
    return {**command.ENVIRONMENT, **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}}
