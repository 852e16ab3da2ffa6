# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of robots: built with mmdebstrap from Debian's packages alone, kept under the digest of their recipe."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from tests.robots.host import RobotsError, appearing, cache_dir, lock, need, run
from tests.robots.spec import RobotSpec

RECIPE = Path(__file__).resolve().parent

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "python3", "openssh-server", "iproute2", "procps", "util-linux", "sudo", "ca-certificates"),
    *("python3-psycopg2", "python3-requests", "python3-grpcio"),
)
DATACENTRE_PACKAGES = ("postgresql",)
ENGINE_PACKAGES = ("docker.io", "docker-registry", "podman", "apache2-utils", "busybox-static")
ENGINE_CLIENT = {"trixie": ("docker-cli",)}
"""Where Docker's client is a package of its own."""
CONTAINER_PACKAGES = ("redis-server", "nftables", "dnsmasq-base")
"""What tasks of the tests run, and what walls between pods, and their names, are made with, where it costs next to nothing to build the
image. Nothing of it runs by itself."""

ENGINE_UNITS = (
    *("docker.service", "docker.socket", "docker-registry.service"),
    *("podman.service", "podman.socket", "podman-auto-update.service", "podman-auto-update.timer", "podman-restart.service"),
)
NO_ENGINES = f'chroot "$1" systemctl --quiet disable {" ".join(ENGINE_UNITS)}'
"""A test starts what it is about."""

NO_REDIS = 'chroot "$1" systemctl --quiet disable redis-server.service'

VM_PACKAGES = ("udev", "initramfs-tools", "zstd", "e2fsprogs", "qemu-guest-agent", "nftables")

FROZEN = ("bullseye",)
"""Its security archive still lists packages that it has no more, so the main archive alone serves."""

BINFMT = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel is told which program runs the programs of another processor."""

UNFINISHED = "k8s4r-unfinished"
"""Docker's repository of images that are being made."""

DISK = "3G"
"""The size of a virtual machine's disk; the file is sparse."""


def packages(spec: RobotSpec) -> list[str]:
    """What the image of this robot is made of."""
    machine = (*VM_PACKAGES, f"linux-image-cloud-{spec.arch}") if spec.virtual else ()
    engines = (*ENGINE_PACKAGES, *ENGINE_CLIENT.get(spec.distro, ())) if spec.engines else ()
    return [*PACKAGES, *(DATACENTRE_PACKAGES if spec.datacentre else ()), *engines, *(machine or CONTAINER_PACKAGES)]


def shape(spec: RobotSpec) -> str:
    """What the image is made for: all machines with a kernel of their own share one."""
    return "vm" if spec.virtual else "container"


def name(spec: RobotSpec) -> str:
    """The image's name: it says the recipe's digest, so that a changed recipe is another image."""
    more = (*(("frozen",) if spec.distro in FROZEN else ()), *((NO_ENGINES,) if spec.engines else ()))
    digest = hashlib.sha256("\n".join([*packages(spec), *more]).encode())
    for file in ("customise", "initrd", "robot-init"):
        digest.update((RECIPE / file).read_bytes())
    role = "datacentre" if spec.datacentre else "engines" if spec.engines else "robot"
    return f"{spec.distro}-{spec.arch}-{shape(spec)}-{role}-{digest.hexdigest()[:12]}"


def mmdebstrap(spec: RobotSpec) -> list[str]:
    """The command that writes the image's root file system to standard output as a tar."""
    return [
        *("mmdebstrap", "--variant=minbase", "--format=tar", f"--architectures={spec.arch}", f"--include={','.join(packages(spec))}"),
        *([f'--essential-hook="{RECIPE}/initrd" "$1"'] if spec.virtual else []),
        *([f"--customize-hook={NO_REDIS}"] if not spec.virtual else []),
        *([f"--customize-hook={NO_ENGINES}"] if spec.engines else []),
        *(f'--customize-hook="{RECIPE}/customise" "$1" {shape(spec)}', spec.distro, "-"),
        *([f"deb {archive()} {spec.distro} main"] if spec.distro in FROZEN else []),
    ]


def archive() -> str:
    """Where this machine's own apt gets Debian from."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    if not any(uri.rstrip("/").endswith("/debian") for uri in found):
        raise RobotsError(f"apt has no archive of Debian among its sources: {' '.join(found) or 'none'}")
    return next(uri for uri in found if uri.rstrip("/").endswith("/debian"))


def docker_image(spec: RobotSpec) -> str:
    """The Docker image of a container robot, built if this machine does not have it."""
    if spec.arch != "amd64":
        raise RobotsError(f"{spec.name}: a container has this machine's processor; a robot with another is a virtual machine (KIND=vm)")
    tag = f"k8s4r-robot:{name(spec)}"
    if not exists(tag):
        with lock(name(spec)):
            if not exists(tag):
                # Docker takes what a maker that was killed had written for the whole: it gets its name when it is that.
                begun = f"{UNFINISHED}:{name(spec)}"
                build(name(spec), mmdebstrap(spec), ["docker", "import", "-", begun])
                run("docker", "tag", begun, tag)
                run("docker", "image", "rm", begun)
    return tag


def exists(tag: str) -> bool:
    """Whether Docker has the image."""
    return bool(run("docker", "image", "ls", "--quiet", tag).strip())


def disk_image(spec: RobotSpec) -> Path:
    """The directory with kernel, initrd and disk of a virtual machine, built if the cache does not have it."""
    directory = cache_dir("vm") / name(spec)
    with lock(name(spec)):
        if not directory.exists():
            with appearing(directory) as made:
                root = made / "root"
                root.mkdir()
                if spec.arch != "amd64":
                    emulate()
                build(name(spec), mmdebstrap(spec), ["tar", "--extract", "--numeric-owner", "--directory", str(root)])
                for file in ("vmlinuz", "initrd.img"):
                    next((root / "boot").glob(f"{file}-*")).rename(made / file)
                run("mkfs.ext4", "-q", "-d", root, made / "root.img", DISK)
                shutil.rmtree(root)
    return directory


def emulate() -> None:
    """Let this machine run arm64's programs: those of the packages, which set the image up."""
    need("mmdebstrap", "arch-test", "qemu-aarch64-static", "update-binfmts")
    if not (BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    run("update-binfmts", "--enable", "qemu-aarch64")


def write_files(disk: Path, files: dict[str, tuple[int, bytes]]) -> None:
    """Put files into a disk image that is not in use; debugfs needs no mount, which not every host allows."""
    with tempfile.TemporaryDirectory() as scratch:
        # One that is there stays as it is.
        script = [f"mkdir {path}" for path in sorted({str(parent) for path in files for parent in PurePosixPath(path).parents[:-1]})]
        for number, (path, (mode, content)) in enumerate(files.items()):
            source = Path(scratch, str(number))
            source.write_bytes(content)
            source.chmod(mode)
            script += [f"rm {path}", f"write {source} {path}"]
        run("debugfs", "-w", "-f", "-", disk, data="\n".join(script).encode())
        for path in files:
            if "Size: " not in run("debugfs", "-R", f"stat {path}", disk):
                raise RobotsError(f"{disk}: {path} could not be written")


def build(what: str, maker: list[str], consumer: list[str]) -> None:
    """Feed the root file system that ``maker`` writes to ``consumer``, and leave nothing behind when either end fails."""
    need("mmdebstrap")
    print(f"building the image {what}", flush=True)
    with tempfile.TemporaryFile() as messages:
        with subprocess.Popen(maker, stdout=subprocess.PIPE, stderr=messages) as made:
            taken = subprocess.run(consumer, stdin=made.stdout, capture_output=True, check=False)
            made.stdout.close()
        messages.seek(0)
        said = messages.read().decode(errors="replace")
    if made.returncode or taken.returncode:
        raise RobotsError(f"the image {what} was not built:\n{said}\n{taken.stderr.decode(errors='replace')}"[-3000:])
