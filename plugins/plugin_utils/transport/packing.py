# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot side as one archive, the same bytes on every controller: `module_utils/_engine` as the package `k8s4r_engine`."""

from __future__ import annotations

import functools
import hashlib
import io
import pathlib
import typing as t
import zipfile

from ...module_utils._engine.plan import PACKAGE
from .bootstrap import OLD_PYTHON

FOLDER = pathlib.Path(__file__).parents[2] / "module_utils" / "_engine"
BOOTSTRAP = pathlib.Path(__file__).with_name("bootstrap.py")

# Python older than the engine's own syntax must be able to run this much, to say that it is too old. Run as a file and
# not as its directory, which would import runpy first (5 ms of a robot's time), it has to name its own place.
MAIN = f"""\
import sys
if sys.version_info < (3, 8):
    sys.stderr.write(sys.executable + " is Python " + sys.version.split()[0])
    sys.exit({OLD_PYTHON})
sys.path.insert(0, __file__.rpartition("/")[0])
from {PACKAGE}.requests.main import end, main
end(main())
"""


class Engine(t.NamedTuple):
    """One version of the robot side: its digest names the directory where a robot keeps it."""

    digest: str
    files: t.Mapping[str, bytes]

    def archive(self) -> bytes:
        """A zip that Python runs as it is, with neither times nor owners in it."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return packed.getvalue()


@functools.cache
def engine() -> Engine:
    """The engine of this collection, read once per process."""
    files = {f"{PACKAGE}/{path.relative_to(FOLDER).as_posix()}": path.read_bytes() for path in FOLDER.rglob("*.py")}
    files["__main__.py"] = MAIN.encode()
    ordered = dict(sorted(files.items()))
    return Engine(digest_of(ordered), ordered)


def digest_of(files: t.Mapping[str, bytes]) -> str:
    """The name of one version of the engine."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


@functools.cache
def bootstrap() -> bytes:
    """The program that is sent ahead of an engine, to start it."""
    return BOOTSTRAP.read_bytes()
