# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that carries the robots: running commands, what it must have installed, Docker's engine, locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "robots"

PACKAGES = {
    "dockerd": "docker.io",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "linux.uml": "user-mode-linux",
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
}
"""Programs whose package has another name."""

APT_SECONDS = 300
"""How long another apt-get may be at work."""

FILES = {"libc6-dev": "/usr/include/stdlib.h", "python3-venv": "/usr/share/doc/python3-venv"}
"""Packages that have no program to look for, and a file of theirs."""


class RobotsError(Exception):
    """Something about the test machines that a person has to put right; the message is for that person."""


def cache_dir(*parts: str) -> Path:
    """A directory outside every checkout, so that a fresh clone builds nothing a second time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base, "k8s4r-robot", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def checkout_id() -> str:
    """Six digits that tell the robots of this checkout from those of another one on the same machine."""
    return hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:6]


def run(*command: str | os.PathLike[str], data: bytes | None = None, check: bool = True, timeout: float | None = None) -> str:
    """Run a command and return its standard output; a failure is an error with the end of what it said."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=timeout)
    except FileNotFoundError as error:
        raise RobotsError(f"{command[0]}: not installed") from error
    except subprocess.TimeoutExpired as error:
        raise RobotsError(f"{shlex.join(map(str, command))}: no answer within {timeout} s") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-2000:]
        raise RobotsError(f"{shlex.join(map(str, command))}: exit status {done.returncode}\n{said}")
    return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep two runs on this machine, of whatever checkout, from making the same thing at once."""
    with cache_dir("locks").joinpath(name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def lock_if_free(name: str) -> Iterator[bool]:
    """Hold the lock, or, where another process holds it, say False at once."""
    with cache_dir("locks").joinpath(name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def appearing(directory: Path) -> Iterator[Path]:
    """A scratch directory that becomes ``directory`` when all went well, and vanishes when not."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, ignore_cleanup_errors=True) as scratch:
        made = Path(scratch, directory.name)
        made.mkdir()
        yield made
        made.rename(directory)


def processes(*words: str) -> list[int]:
    """The processes whose command line holds these words in a row."""
    wanted = b"\0" + b"\0".join(os.fsencode(word) for word in words) + b"\0"
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and wanted in b"\0" + (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def alive(process: int) -> bool:
    """Whether it still holds anything: one that was killed loses its command line, and its first thread, before its files."""
    states = []
    for thread in Path(f"/proc/{process}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(thread.read_text().rpartition(")")[2].split()[0])
    return not set(states) <= {"Z", "X"}


def need(*programs: str) -> None:
    """Install what is missing from Debian's packages; only root can, anyone else is told what to install."""
    if all(map(present, programs)):
        return
    # Images are built side by side, and apt-get does not wait for another one of itself.
    with lock("packages"):
        missing = [PACKAGES.get(program, program) for program in programs if not present(program)]
        if missing and os.geteuid():
            raise RobotsError(f"not installed: {' '.join(missing)} (as root: apt-get install {' '.join(missing)})")
        if missing:
            _apt_get("-qq", "update")
            _apt_get("-qqy", "install", "--no-install-recommends", *missing)


def _apt_get(*arguments: str) -> None:
    """Run it as soon as whoever else on this machine is at it, unattended upgrades for one, has ended."""
    command = ["apt-get", *arguments]
    end = time.monotonic() + APT_SECONDS
    while True:
        done = subprocess.run(command, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"), capture_output=True, check=False)
        said = done.stderr.decode(errors="replace").strip()
        if not done.returncode:
            return
        if "Could not get lock" not in said or time.monotonic() > end:
            raise RobotsError(f"{shlex.join(command)}: {said[-2000:]}")
        time.sleep(1)


def present(program: str) -> bool:
    """Whether the program, or the package that has none, is installed."""
    return Path(FILES[program]).exists() if program in FILES else bool(find(program))


def find(program: str) -> str | None:
    """Look where root's programs are too: a user's PATH often lacks sbin."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def ensure_docker() -> None:
    """Use the Docker engine that answers; where none does, root starts one that outlives this process."""
    _make_room()
    if engine_answers():
        return
    with lock("docker"):
        if engine_answers():
            return
        need("dockerd", "ip")
        if os.geteuid():
            raise RobotsError("no Docker engine answers; start one, or run this as root, and it starts dockerd")
        if not engine_answers():  # where systemd runs, installing the package started it
            start_docker()


def _make_room() -> None:
    """Each robot's systemd watches many files, and the kernel counts the watchers of all robots together: 128 are used up
    by a dozen, and the next one boots degraded.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if os.geteuid() == 0 and int(limit.read_text()) < 1024:
        limit.write_text("1024")


def start_docker() -> None:
    """Start dockerd by hand, in a session of its own, and wait for its first answer."""
    log = cache_dir() / "dockerd.log"
    with log.open("ab") as output:
        subprocess.Popen([find("dockerd")], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    wait_for(engine_answers, 60, f"dockerd does not answer; its log is {log}")


def engine_answers() -> bool:
    """Whether a Docker engine can be talked to."""
    return bool(find("docker")) and bool(run("docker", "version", "--format", "{{.Server.Version}}", check=False).strip())


def wait_for(condition, seconds: float, otherwise: str, pause: float = 0.2) -> None:
    """Poll ``condition`` until it holds; ``otherwise`` says what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RobotsError(f"{otherwise} (waited {seconds:g} s)")
        time.sleep(pause)
