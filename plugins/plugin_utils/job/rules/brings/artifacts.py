# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of artifacts. An address that contains names is checked once they are replaced (compile/content)."""

from __future__ import annotations

import collections.abc as c

from ...errors import Finding, Mistake
from ...getters import Getter, parsed
from ...model.brings.artifacts import Artifact
from ...model.vocabulary import GetterMode
from ...substitution import has_names


def errors(artifacts: c.Sequence[Artifact | None], path: str) -> c.Iterator[Finding]:
    for number, artifact in enumerate(artifacts or ()):
        if artifact is None or artifact.getter_source is None or artifact.getter_options is None:
            continue
        texts = (artifact.getter_source, *artifact.getter_options.values())
        if not any(text is None or has_names(text) for text in texts):
            yield from _artifact(artifact, f"{path}[{number}]")
        if artifact.relative_dest is not None and not has_names(artifact.relative_dest):
            mistake = destination(artifact.relative_dest, artifact.getter_mode)
            if mistake:
                yield f"{path}[{number}].relativeDest", mistake


def _artifact(artifact: Artifact, path: str) -> c.Iterator[Finding]:
    try:
        getter = parsed(artifact.getter_source, artifact.getter_options)
    except Mistake as mistake:
        yield f"{path}.getterSource", mistake
        return
    yield from agreement(getter, artifact, path)


def agreement(getter: Getter, artifact: Artifact, path: str) -> c.Iterator[Finding]:
    """What an address and the other keys of an artifact must agree on."""
    if artifact.headers and getter.get not in ("http", "s3"):
        yield f"{path}.headers", Mistake("are for http, https and s3 only", "remove them")
    if artifact.getter_mode is GetterMode.FILE and getter.get == "git":
        yield f"{path}.getterMode", Mistake("a repository is not a file", "write dir, or name the file by https", value="file")
    if artifact.getter_mode is GetterMode.DIR and "tar" not in getter.archive and getter.archive != "zip":
        remedy = "write any or file; or, if it is an archive after all, the option archive"
        yield f"{path}.getterMode", Mistake("the address does not name an archive", remedy, value="dir")


def destination(text: str, mode: GetterMode | None) -> Mistake | None:
    """What is wrong with a path relative to the directory of the task."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or ".." in parts:
        return Mistake("leads out of the task's directories", "write local/... or alloc/...", value=text)
    if parts[:1] == ["secrets"]:
        remedy = "write local/..., or have the task fetch it when it starts"
        return Mistake("secrets/ is in memory, and empty at each start", remedy, value=text)
    if parts[:1] not in (["local"], ["alloc"]):
        return Mistake(
            "is not one of the task's directories", "put it below local/ or alloc/", value=text, value_remedy=f"write local/{text}"
        )
    if mode is GetterMode.FILE and len(parts) < 2:
        return Mistake("with getterMode: file, this is the path of the file", "add the file's name", value=text)
    return None
