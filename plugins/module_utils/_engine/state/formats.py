# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of everything that an engine leaves on a robot for another one: ledger, manifests, journal, requests and results.

Robots outlive versions of the collection. What an older engine left is read as if this one had left it, here and nowhere
else; what a newer one left is refused, since this one cannot know what it means. Version 1 had no number.
"""

from __future__ import annotations

import os

from ..say import jsontext
from ..say.errors import Refusal
from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

VERSION = 3

_NEWER = "this robot was last deployed by a newer version of k8s4r.robot ({} has format {}; this version reads up to {})"


class Unread(Refusal):
    """A file that this engine cannot read: damaged, or of a newer version.

    ``what``: which file, and why. ``remedy``: what someone who deploys can do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        super().__init__([f"{what}; {remedy}"])


def damaged(path: str, why: str) -> Unread:
    return Unread(f"{path} is damaged ({why})", "remove this file and run again")


def load(path: str, kind: str) -> t.Any:
    """What is in a file, in the form of this version; None where there is none.

    ``kind``: ledger, manifest, journal, request or result. Raises `Unread`.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            document = jsontext.loads(stream.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(path, error.strerror or "it cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not JSON") from error
    if not isinstance(document, dict):
        raise damaged(path, "it is not a JSON object")
    found = document.get("version", 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise damaged(path, f"its version is {jsontext.dumps(found)}")
    if found > VERSION:
        raise Unread(_NEWER.format(path, found, VERSION), "upgrade the collection on this controller")
    return document if found == VERSION else _upgraded(path, kind, document, found)


def _upgraded(path: str, kind: str, document: dict[str, t.Any], found: int) -> dict[str, t.Any]:
    from . import upgrades

    try:
        return upgrades.to_this_version(kind, document, found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"it is not in format {found}") from error


def save(path: str, document: t.Mapping[str, t.Any]) -> None:
    """Replace a file completely."""
    files.replace(path, jsontext.dumps({**document, "version": VERSION}).encode("ascii"))


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
