# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH both ways: the fleet's key that robots let in, and each robot's host key, known before its first start. And what spares robots
work that no test is about.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.robots.host import need, run

HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"

GENERATORS = (
    *("bless-boot", "cryptsetup", "debug", "getty", "gpt-auto", "hibernate-resume", "import", "integritysetup", "rc-local", "run"),
    *("ssh", "system-update", "sysv", "tpm2", "veritysetup"),
)
"""Programs that systemd runs at each boot and at each `daemon-reload`, for disks, consoles and scripts that no robot here has: they are
two thirds of what a `daemon-reload` costs, and an emulated machine takes seconds for each. An empty file takes the place of each.
"""

BYTECODE = Path(__file__).with_name("image") / "kept_bytecode.py"
PACKAGES = "usr/lib/python3/dist-packages"
"""Where Debian's Python, of whatever version, looks for libraries, and for files that name some to be imported at its start."""


def ensure_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key where there is none; its public half is returned."""
    if not path.exists():
        need("ssh")
        path.parent.mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
    return path.with_suffix(".pub").read_text().strip()


def files(fleet_key: Path, host_key: Path, bytecode: bool) -> dict[str, tuple[int, bytes]]:
    """What makes a root file system one certain robot of the fleet: path -> mode and content. ``bytecode``: whether it keeps what Ansible's
    modules were compiled to.
    """
    ensure_key(host_key, host_key.parent.name)
    keeps = {
        f"{PACKAGES}/{BYTECODE.name}": (0o644, BYTECODE.read_bytes()),
        f"{PACKAGES}/{BYTECODE.stem}.pth": (0o644, f"import {BYTECODE.stem}\n".encode()),
    }
    return {
        "root/.ssh/authorized_keys": (0o600, ensure_key(fleet_key, "k8s4r-robots").encode() + b"\n"),
        "etc/ssh/ssh_host_ed25519_key": (0o600, host_key.read_bytes()),
        HOST_KEY: (0o644, host_key.with_suffix(".pub").read_bytes()),
        **{f"etc/systemd/system-generators/systemd-{name}-generator": (0o644, b"") for name in GENERATORS},
        **(keeps if bytecode else {}),
    }


def as_tar(contents: dict[str, tuple[int, bytes]]) -> bytes:
    """The files as a tar owned by root, to be unpacked over a root file system."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (mode, content) in contents.items():
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
