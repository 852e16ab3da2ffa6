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

VERSION = 2


def load(path: str, kind: str) -> t.Any:
    """What is in a file, in the form of this version; None where there is none.

    ``kind``: ledger, manifest, journal, request or result. Raises `Refusal` for a version that is newer than this engine.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            document = jsontext.loads(stream.read())
    except FileNotFoundError:
        return None
    found = document.get("version", 1)
    if not isinstance(found, int) or found > VERSION:
        text = "this robot was last deployed by a newer version of k8s4r.robot ({} has format {}; this version reads up to {}). {}"
        raise Refusal([text.format(path, found, VERSION, "Nothing was changed; upgrade the collection on this controller")])
    if found < VERSION:
        from . import upgrades

        document = upgrades.to_this_version(kind, document, found)
    return document


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
