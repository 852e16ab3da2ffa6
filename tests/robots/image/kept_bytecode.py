# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on robots, at each start of Python: what Ansible's modules were compiled to is kept, as Python keeps it of its own libraries.

Ansible sends a module with all that it imports as a zip file of sources, and Python keeps nothing of what it finds in one. So to compile
them is half of what a module costs, at every task anew: a tenth of a second, and two seconds on an emulated robot.
"""

import _imp
import marshal
import os
import zipimport

KEPT = "/var/cache/k8s4r-robots"
"""One file per source, whose name says what it was made of: what it means is the same wherever the source comes from."""

ARCHIVE = "_payload.zip"
"""Ends the name of Ansible's archives. Nothing else is kept."""

_compile_source = zipimport._compile_source


def compiled(pathname: str, source: bytes) -> object:
    """In the place of zipimport's own: the same, remembered."""
    if ARCHIVE not in pathname:
        return _compile_source(pathname, source)
    path = f"{KEPT}/{_imp.source_hash(0, source).hex()}"
    try:
        with open(path, "rb") as kept:
            return marshal.loads(kept.read())
    except (OSError, EOFError, ValueError, TypeError):
        # There is none, or the power went before it was on the disk.
        return _keep(path, _compile_source(pathname, source))


def _keep(path: str, code: object) -> object:
    """Whole or not at all. Who may not write there compiles anew."""
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(KEPT, exist_ok=True)
        with open(part, "wb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(part, path)
    except OSError:
        pass
    return code


zipimport._compile_source = compiled
