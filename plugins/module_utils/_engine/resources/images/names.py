# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How images are called. A tag of ours says of what was pulled that it is ours to remove."""

from __future__ import annotations

import hashlib
import re

from ...plan import IMAGES

# The repository of marks: what is called so was pulled by us.
PULLED = f"{IMAGES}/pulled"
# And of images by which containers enter pods: who starts such a container removes its image (helpers/run_container).
PODS = f"{IMAGES}/pod"
DOCKER_HUB = "docker.io"


def full(reference: str) -> str:
    """With a tag: without one, Docker's API would pull them all."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def registry(reference: str) -> str:
    """The machine that is asked for it; empty where none is named, which is Docker's own."""
    host, slash, _rest = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else ""


def with_registry(reference: str) -> str:
    """As every engine understands it."""
    if registry(reference):
        return full(reference)
    return f"{DOCKER_HUB}/{'' if '/' in reference else 'library/'}{full(reference)}"


def every(reference: str) -> set[str]:
    """All names by which an engine may call what it knows by this one: Docker leaves its own registry out, and Podman takes what was made
    on the robot for one of `localhost`.
    """
    written = full(reference)
    short = re.sub(r"^(index\.)?docker\.io/(library/)?|^library/", "", written)
    return {written, short, with_registry(short), *([] if registry(short) else [f"localhost/{short}"])}


def mark(name: str) -> str:
    """How the name begins of what was pulled as that; its end is by the image."""
    return f"{PULLED}:{hashlib.sha256(full(name).encode('utf-8')).hexdigest()[:32]}-"
