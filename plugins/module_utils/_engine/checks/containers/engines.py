# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs a script inside of a container: whoever has started that."""

from __future__ import annotations

from ...say import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..states import Check, Outcome

# What the program of the unit says of the container that it has started, in its runtime directory.
STARTED = "started"


def run(check: Check, container: str, main: int) -> Outcome:
    """Run a script in the container that has this directory of runtime files, and whose unit has this main process. Raises `OSError`
    where there is none.
    """
    with open(f"{container}/{STARTED}", encoding="utf-8") as stream:
        started = jsontext.loads(stream.read())
    # Nobody waits for what only the other one needs.
    if started.get("engine") == "podman":
        from . import podman

        return podman.Exec(check, started, main).outcome()
    from . import docker

    return docker.Exec(check, started).outcome()
