# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""place-templates LIST [inside|main|container DIRECTORY SLICE]

Puts the rendered files of the list into a task's directories: all before the task starts (ExecStartPre), and while it runs
(ExecReload) those whose texts differ from what was last put there; then their signals go to the task's program. That is the main
process of the unit, or, `inside`, the one that this has started in a PID namespace, or the first process of a container, which is alone
in its slice. At a start, files that the list no longer has go first.

The directories belong to the task, which may put a link anywhere at any time: each is opened below the one before it, and no link is
followed.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import sys

from ..lines import Unread, for_systemd, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # What a file was when it was put there: its inode, its size, and when it was last written to. Each is another one after a change.
    Mark = t.List[int]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# As the engine calls what is about to replace a file.
TEMPORARY = ".k8s4r~"
ROBOT = "/proc/1/ns/pid"
# Bytes. A note of more is none of ours.
LONGEST_NOTE = 1 << 20


class Problem(Exception):
    """Why a file cannot be put in its place."""


class Placed:
    """What a task's templates have brought, by the names that people know the files by: of each, the digest of its text, which is empty
    while it may be another one, and the marks that the file may have.

    It is noted in a directory of root's. No task has to wait for it: where it is missing or damaged, nothing is known.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.files: dict[str, list[t.Any]] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            with open(path, "rb", opener=_without_waiting) as stream:
                found = json.loads(stream.read(LONGEST_NOTE))
            self.files = {called: [str(digest), list(marks)] for called, (digest, marks) in found.items()}
        self._noted = json.dumps(self.files)

    def note(self, durable: bool = False) -> None:
        text = json.dumps(self.files)
        if not self._path or text == self._noted:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + TEMPORARY)
            with open(self._path + TEMPORARY, "x", encoding="ascii", opener=_for_root) as stream:
                stream.write(text)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.rename(self._path + TEMPORARY, self._path)
            self._noted = text
        except OSError as error:
            if durable:
                print(f"what templates have brought cannot be noted: {error.strerror}", file=sys.stderr)
            # What it says may not be there any more, and would be taken for it.
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def take_out(self, listed: t.Container[str], rooms: t.Mapping[str, str]) -> None:
        """Removes files that are not listed any more and that nobody has changed since."""
        gone = [called for called in self.files if called not in listed]
        others = places_of_others() if gone else []
        for called in gone:
            (room, *path), (_digest, marks) = called.split("/"), self.files.pop(called)
            # What is not among the rooms is made anew for each start.
            if room not in rooms or not path or {"", ".", ".."}.intersection(path) or [rooms[room], *path] in others:
                continue
            # Without it, or where it cannot be reached any more, there is nothing to remove.
            with contextlib.suppress(OSError, ValueError):
                # Several tasks may have brought the same file to a directory that they share.
                if not take(rooms[room], path, marks) and room == "local":
                    print(f"template {called}: is not listed any more; its file was changed on the robot, and stays", file=sys.stderr)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _for_root(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def main() -> None:
    path, *whom = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        listed = json.load(stream)
    signals, problems = [], []
    placed = Placed(listed.get("placed", ""))
    if not whom:
        placed.take_out({template["called"] for template in listed["templates"]}, listed.get("rooms", {}))
    for template in listed["templates"]:
        try:
            if place(template, listed["user"], listed["group"], bool(whom), placed) and template["signal"]:
                signals.append(template["signal"])
        except Problem as problem:
            problems.append(problem)
            if not whom:
                break
    placed.note(durable=True)
    if "variables" in listed and not whom and not problems:
        try:
            keep_variables(listed)
        except Problem as problem:
            problems.append(problem)
    process = program(int(os.environ["MAINPID"]), *whom) if whom and signals else None
    for number in sorted(set(signals)):
        # It may have ended meanwhile.
        with contextlib.suppress(ProcessLookupError):
            if process:
                os.kill(process, number)
    if problems:
        # Only now: what is in its place does not differ any more, so its signal would never come.
        sys.exit("\n".join(f"template {problem}" for problem in problems))


def place(template: dict[str, t.Any], user: str, group: str, compare: bool, placed: Placed) -> bool:
    """Whether there is another file now than before. To `compare` is to leave what was put there with this very text: the task may have
    written to it since.
    """
    name, called, content = template["path"][-1], template["called"], text_of(template)
    digest = hashlib.sha256(content).hexdigest()
    before, marks = placed.files.get(called, ("", []))
    if compare and before == digest:
        return False
    account, gid = pwd.getpwnam(user), grp.getgrnam(group).gr_gid
    try:
        uid = pwd.getpwnam(template["owner"]).pw_uid
    except KeyError:
        raise Problem(f"{called}: this robot has no user {template['owner']}") from None
    directory = opened(template, account.pw_uid, gid)
    try:
        there = None
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if there and stat.S_ISDIR(there.st_mode):
            raise Problem(f"{called}: a directory is in its place; remove it, or name another destPath")
        if there and stat.S_ISLNK(there.st_mode):
            print(f"template {called}: replaces a link", file=sys.stderr)
        elif compare and there and not before and is_same(directory, name, content):
            placed.files[called] = [digest, [mark_of(there)]]
            return False

        def note(mark: Mark) -> None:
            # Whoever ends this program now leaves the former file or this one.
            placed.files[called] = ["", [*marks, mark]]
            placed.note()

        placed.files[called] = [digest, [replace(directory, name, content, (uid, gid, int(template["mode"], 8)), note)]]
    except OSError as error:
        raise Problem(f"{called}: {error.strerror}") from None
    finally:
        os.close(directory)
    return True


def take(base: str, path: list[str], marks: list[Mark]) -> bool:
    """Removes a file if it is still what it was when it was put there; otherwise it stays."""
    opened = [os.open(base, DIRECTORY)]
    try:
        for component in path[:-1]:
            opened.append(os.open(component, DIRECTORY, dir_fd=opened[-1]))
        cleared(opened[-1], path[-1])
        if mark_of(os.stat(path[-1], dir_fd=opened[-1], follow_symlinks=False)) not in marks:
            return False
        os.unlink(path[-1], dir_fd=opened[-1])
    finally:
        for directory in opened:
            os.close(directory)
    return True


def places_of_others() -> list[list[str]]:
    """Where the lists of the group's other tasks have something, who share a directory with this one."""
    found: list[list[str]] = []
    directory, mine = os.path.split(sys.argv[1])
    for name in os.listdir(directory):
        if name.endswith(".json") and name != mine:
            # There are other files, too.
            with contextlib.suppress(OSError, ValueError, LookupError), open(f"{directory}/{name}", encoding="utf-8") as stream:
                found += [[template["base"], *template["path"]] for template in json.load(stream)["templates"]]
    return found


def mark_of(found: os.stat_result) -> Mark:
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def text_of(template: dict[str, t.Any]) -> bytes:
    try:
        with open(template["from"], "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise Problem(
            f"{template['called']}: {template['from']} does not exist; if Consul renders it, Consul has not answered yet"
        ) from None


def keep_variables(listed: dict[str, t.Any]) -> None:
    """Has what Consul says about variables where the unit reads it, after this program has ended. No value is part of a message."""
    found = {}
    for template in listed["templates"]:
        if template.get("variables"):
            try:
                read = parsed(text_of(template).decode("utf-8"))
            except (Unread, UnicodeDecodeError) as error:
                why = error if isinstance(error, Unread) else "it is not UTF-8"
                raise Problem(f"{template['called']}: does not render to variables: {why}") from None
            refused = sorted(name for name in read if re.fullmatch(listed["refused"], name))
            if refused:
                raise Problem(f"{template['called']}: {', '.join(refused)} cannot be set from Consul")
            found.update(read)
    where, name = os.path.split(listed["variables"])
    directory = os.open(where, DIRECTORY)
    try:
        replace(directory, name, for_systemd(found).encode("utf-8"), (0, 0, 0o600))
    finally:
        os.close(directory)


def opened(template: dict[str, t.Any], uid: int, gid: int) -> int:
    """The directory of a file. Those that are missing are made, and are the task's."""
    base, so_far = template["base"], template["called"].split("/")[0]
    if so_far == "secrets":
        # Where systemd has not made it, it is in a directory of root's.
        with contextlib.suppress(FileExistsError):
            os.mkdir(base, 0o700)
            os.chown(base, uid, gid)
    try:
        directory = os.open(base, DIRECTORY)
    except OSError as error:
        raise Problem(f"{template['called']}: {base} cannot be opened: {error.strerror}") from None
    for component in template["path"][:-1]:
        so_far = f"{so_far}/{component}"
        try:
            make(component, directory, uid, gid)
        except OSError as error:
            os.close(directory)
            raise Problem(f"{template['called']}: {so_far} cannot be made: {error.strerror}") from None
        try:
            below = os.open(component, DIRECTORY, dir_fd=directory)
        except OSError:
            raise Problem(f"{template['called']}: {so_far} is a link or a file, not a directory; remove it") from None
        finally:
            os.close(directory)
        directory = below
    return directory


def make(name: str, directory: int, uid: int, gid: int) -> None:
    """As the task's user: until it changed hands, the task could put a directory of somebody else in its place."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=directory)
    finally:
        os.seteuid(0)
        os.setegid(0)


def is_same(directory: int, name: str, content: bytes) -> bool:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return False
    with open(file, "rb") as stream:
        return stat.S_ISREG(os.fstat(file).st_mode) and stream.read(len(content) + 1) == content


def replace(directory: int, name: str, content: bytes, owned: tuple[int, int, int], note: t.Callable[[Mark], None] | None = None) -> Mark:
    """As a whole: whoever reads it finds the former file or this one. The mark of this one is noted before it is there."""
    # The directory is the task's: nothing can be in the place of a name that nobody foresees.
    temporary = f"{cleared(directory, name)}{os.urandom(8).hex()}{TEMPORARY}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        with open(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(file, owned[0], owned[1])
            os.fchmod(file, owned[2])
            os.fsync(file)
            mark = mark_of(os.fstat(file))
        if note:
            note(mark)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    return mark


def cleared(directory: int, name: str) -> str:
    """How the names begin of what is about to replace a file. Whatever is left behind of them is gone."""
    # In a directory that tasks share, others may be at work: what is of this very file goes, and nothing else.
    mine = f".{hashlib.sha256(f'{sys.argv[1]}/{name}'.encode()).hexdigest()[:16]}-"
    for left in os.listdir(directory):
        if left.startswith(mine) and left.endswith(TEMPORARY):
            with contextlib.suppress(OSError):
                os.unlink(left, dir_fd=directory)
    return mine


def program(main_process: int, whom: str, *container: str) -> int | None:
    """The process of the task's program; None while it has not started yet: it will find the file as it is now."""
    if whom == "main":
        return main_process
    if container:
        return first(*container)
    namespace = identity(f"/proc/{main_process}/ns/pid_for_children")
    if namespace is None or namespace == identity(ROBOT):
        return None
    mine, lowest = unit(main_process), {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and identity(f"/proc/{entry}/ns/pid") == namespace and unit(entry) == mine:
            parent, inside = numbers(entry)
            if parent == main_process and inside > 1:
                # In a namespace that others share, where numbers may begin anew.
                return int(entry)
            # The first one of a namespace of its own is a shell of ours. Whatever the program has started has come later.
            if inside > 1:
                lowest[inside] = int(entry)
    return lowest[min(lowest)] if lowest else None


def first(directory: str, of_slice: str) -> int | None:
    """The first process of a container, as the program has noted it that has it run; its number may be another one's by now."""
    try:
        with open(f"{directory}/pid", encoding="ascii") as stream:
            process = int(stream.read())
    except (FileNotFoundError, ValueError):
        # It is about to be written.
        return None
    return process if any(f"/{of_slice}/" in line for line in unit(process)) else None


def identity(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def unit(process: int | str) -> list[str]:
    """The control group by which systemd knows the unit of a process."""
    return [line for line in lines(process, "cgroup") if line.startswith("0::") or ":name=systemd:" in line]


def numbers(process: str) -> tuple[int, int]:
    """The parent of a process, and its own number inside its namespace."""
    found = dict(line.split(":", 1) for line in lines(process, "status") if ":" in line)
    return int(found.get("PPid", 0)), int(["0", *found.get("NSpid", "").split()[1:]][-1])


def lines(process: int | str, file: str) -> list[str]:
    try:
        with open(f"/proc/{process}/{file}", encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
