# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of everything that an engine leaves on a robot for another one: ledger, manifests, journal, requests and results. And of
the files of pods, of routes to those of other robots, and of services, which the compiler writes: an engine meets those of jobs that a
former collection has deployed.

Robots outlive versions of the collection. What an older engine left is read as if this one had left it, here and nowhere
else; what a newer one left is refused, since this one cannot know what it means. Version 1 had no number.

What a robot cannot do without is kept twice: the copy stands in for a file that is damaged, or gone.
"""

from __future__ import annotations

import os

from .. import plan
from ..say import jsontext
from ..say.errors import Refusal
from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

VERSION = plan.KEPT_VERSION
# What each kind must have to be one.
KEYS: t.Mapping[str, t.Mapping[str, type]] = {
    "ledger": {"namespace": str, "name": str, "state": str, "plan": str, "groups": dict},
    "manifest": {"jobs": list},
    "journal": {"release": str, "groups": dict},
    "pod": {"name": str, "group": str, "address": str, "range": str, "reach": list, "ports": list, "hosts": dict, "dns": dict},
    "request": {},
    "routes": {"robots": dict},
    "service": {"domain": str, "name": str, "port": int, "loopback": bool, "endpoints": list},
    "result": {"status": str},
}
GROUP_KEYS = {"name": str, "release": str, "resources": list, "leftovers": list}

_NEWER = "this robot was last deployed by a newer version of k8s4r.robot ({} has format {}; this version reads up to {})"


class Unread(Refusal):
    """A file that this engine cannot read: damaged, or of a newer version.

    ``what``: which file, and why. ``remedy``: what someone who deploys can do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        super().__init__([f"{what}; {remedy}"])


class Damaged(Unread):
    """One that nobody can read any more."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"{path} is damaged ({why})", "remove this file and run again")


class Gone(Unread):
    """One that is no longer there, though its copy is."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is missing", "its copy was read")


def load(path: str, kind: str) -> t.Any:
    """What is in a file, in the form of this version; None where there is none.

    ``kind``: ledger, manifest, journal, request or result. Raises `Unread`.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(path, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise Damaged(path, "it is not JSON") from error
    return read(path, kind, text)


def read(path: str, kind: str, text: str) -> t.Any:
    """What is in the text of a file, in the form of this version. ``kind``: as for `load`, or pod, routes, or service. Raises `Unread`."""
    document = _read(path, kind, text)
    _require(path, document, KEYS[kind])
    for group in document["groups"].values() if kind == "ledger" else ():
        _require(path, group, GROUP_KEYS)
    return document


def _require(path: str, document: t.Any, keys: t.Mapping[str, type]) -> None:
    for key, shape in keys.items():
        if not isinstance(document, dict) or not isinstance(document.get(key), shape):
            raise Damaged(path, f"it has no {key}")


def load_either(path: str, kind: str) -> tuple[t.Any, Unread | None]:
    """What was saved twice, and what is wrong with the file, where it is the copy that was read; (None, None) where there is neither.

    Raises `Unread` where neither can be read.
    """
    problem: Unread
    try:
        found = load(path, kind)
        if found is not None:
            return found, None
        problem = Gone(path)
    except Damaged as error:
        problem = error
    try:
        copy = load(path + files.COPY, kind)
    except Damaged as error:
        # Without the file, and with a damaged copy, there is no knowing either.
        raise problem if isinstance(problem, Damaged) else error from None
    if copy is None:
        if isinstance(problem, Damaged):
            raise problem
        return None, None
    return copy, problem


def _read(path: str, kind: str, text: str) -> t.Any:
    try:
        document = jsontext.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(path, "it is not JSON") from error
    if not isinstance(document, dict):
        raise Damaged(path, "it is not a JSON object")
    found = document.get("version", 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise Damaged(path, f"its version is {jsontext.dumps(found)}")
    if found > VERSION:
        raise Unread(_NEWER.format(path, found, VERSION), "upgrade the collection on this controller")
    return document if found == VERSION else _upgraded(path, kind, document, found)


def _upgraded(path: str, kind: str, document: dict[str, t.Any], found: int) -> dict[str, t.Any]:
    from . import upgrades

    try:
        return upgrades.to_this_version(kind, document, found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(path, f"it is not in format {found}") from error


def save(path: str, document: t.Mapping[str, t.Any]) -> None:
    """Replace a file completely."""
    files.replace(path, jsontext.dumps({**document, "version": VERSION}).encode("ascii"))


def save_twice(path: str, document: t.Mapping[str, t.Any]) -> None:
    """Replace a file completely, and then its copy; one that cannot be written, on a full disk, must not be there at all."""
    save(path, document)
    try:
        save(path + files.COPY, document)
    except OSError:
        remove(path + files.COPY)


def remove_both(path: str) -> None:
    """Remove what was saved twice; the copy first, so that it never stands in for what was removed."""
    remove(path + files.COPY)
    remove(path)


def remove(path: str) -> None:
    """Remove a file for good: not even a power cut brings it back."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
