# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in front of an engine sent to a robot: keeps it under its digest, or runs it from memory, and hands over.

Read from standard input by `python3 -c`, followed by one line of JSON (digest, size, keep), the archive and the
request. Any Python, from 2.7 on, must be able to read this file and say that it is too old: types are comments here, and there are
no f-strings.
"""

import json
import os
import sys

ROOM = "/var/lib/k8s4r/engine"
# What the engine puts aside for a full disk: system/reserve.py.
RESERVE = "/var/lib/k8s4r/reserve"
# Exit statuses of what runs in front of the engine: the shell command, this file, the engine's own first lines.
NO_PYTHON = 45
OLD_PYTHON = 46
NOT_ROOT = 47
NO_SYSTEMD = 48
NOT_KEPT = 49
# Begins the line on standard error about an engine that was damaged.
REPLACED = "files of the engine on this robot were damaged or missing, and have been replaced: "


def refuse(status, text):
    # type: (int, str) -> None
    sys.stderr.write(text + "\n")
    sys.exit(status)


def sync(path):
    # type: (str) -> None
    """Wait until a file's bytes, or a directory's names, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_room():
    # type: () -> None
    if not os.path.isdir(ROOM):
        os.makedirs(ROOM, 0o700, exist_ok=True)
        above = os.path.dirname(ROOM)
        os.chmod(above, 0o755)
        sync(above)
        sync(os.path.dirname(above))


def differing(wanted, found):
    # type: (str, str) -> list[str]
    """The files of one directory that the other does not have with the same bytes."""
    import filecmp

    names = []
    for directory, _directories, files in os.walk(wanted):
        there = os.path.join(found, os.path.relpath(directory, wanted))
        for name in files:
            path = os.path.join(there, name)
            if not os.path.isfile(path) or not filecmp.cmp(os.path.join(directory, name), path, shallow=False):
                names.append(os.path.normpath(path))
    return names


def keep(digest, content):
    # type: (str, bytes) -> str
    """Unpack beside the target, sync and rename: a directory of that name is whole, and stays so unless the disk harms it.

    Without the sync a power cut within seconds leaves empty files there, which then neither take a switch back nor give an answer.
    An engine that is there and was sent all the same gave no answer: where a file of it differs, it is replaced.
    """
    import io
    import shutil
    import zipfile

    os.umask(0o077)
    make_room()
    target = os.path.join(ROOM, digest)
    beside = os.path.join(ROOM, "." + digest + "." + str(os.getpid()))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(beside)
        for directory, _directories, files in os.walk(beside):
            for name in files:
                sync(os.path.join(directory, name))
            sync(directory)
        damaged = differing(beside, target) if os.path.isdir(target) else []
        if os.path.isdir(target) and not damaged:
            # Bytecode may be damaged too, and Python makes it again.
            for directory, _directories, _files in os.walk(target):
                shutil.rmtree(os.path.join(directory, "__pycache__"), ignore_errors=True)
        else:
            if damaged:
                sys.stderr.write(REPLACED + ", ".join(damaged) + "\n")
            shutil.rmtree(target, ignore_errors=True)
            os.rename(beside, target)
            sync(ROOM)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def keep_on_full_disk(digest, content):
    # type: (str, bytes) -> str
    """A new engine must come in also where a job has filled the disk: it is to remove that."""
    import errno

    try:
        return keep(digest, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not os.path.isdir(RESERVE):
            raise
    # The directory stays: on a full disk it could not be made again.
    for name in os.listdir(RESERVE):
        os.unlink(os.path.join(RESERVE, name))
    return keep(digest, content)


def hold(content):
    # type: (bytes) -> str
    """A path in memory, for a run that must leave nothing on the robot."""
    descriptor = os.memfd_create("k8s4r", 0)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return "/proc/self/fd/" + str(descriptor)


def start():
    # type: () -> None
    if tuple(sys.version_info[:2]) < (3, 8):
        refuse(OLD_PYTHON, sys.executable + " is Python " + sys.version.split()[0])
    if os.geteuid() != 0:
        refuse(NOT_ROOT, "user id " + str(os.geteuid()))
    if not os.path.isdir("/run/systemd/system"):
        refuse(NO_SYSTEMD, "no /run/systemd/system")
    header = json.loads(sys.stdin.buffer.readline().decode("ascii"))
    content = sys.stdin.buffer.read(header["size"])
    if len(content) != header["size"]:
        refuse(NOT_KEPT, "the engine arrived incomplete")
    try:
        path = keep_on_full_disk(header["digest"], content) if header["keep"] else hold(content)
    except OSError as error:
        refuse(NOT_KEPT, str(error))
    # What it compiles here, the process that does the work need not compile again. Of one that is not kept there is no place for it.
    sys.dont_write_bytecode = not header["keep"]
    import runpy

    sys.argv[:] = [path]
    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    start()
