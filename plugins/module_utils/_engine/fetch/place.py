# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving unpacked artifacts into a task's directories, and taking out what an earlier release brought there.

Those directories belong to the task, which may put a link anywhere at any moment: so each is opened by itself, beginning with one of
root's, and no link is followed. A file is taken out only if nobody has changed it since.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import stat

from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from .shapes import Item

    # What a file was when it was put there: its inode or COPIED, its size, and when it was last written to.
    Mark = t.List[int]

    class Brought(t.TypedDict):
        """What was put below one directory, by names relative to it. Directories are removed when they are empty."""

        to: str
        files: dict[str, Mark]
        directories: list[str]


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LIST = ".files"
TEMPORARY = ".k8s4r~"
# The inode of a copy that is not known yet: its run may be killed before it is.
COPIED = 0
# Components of the paths that are sure to be there: /var/lib/k8s4r/tasks/<id>/local and /var/lib/k8s4r/groups/<id>/alloc.
OWN = 7


def base(item: Item) -> str:
    """The directory below which an artifact is put."""
    return os.path.dirname(item["to"]) if item["mode"] == "file" else item["to"]


def put(items: t.Sequence[Item], place: str, path: str, owner: t.Tuple[int, int]) -> list[str]:
    """Move what is unpacked at ``place`` to where the artifacts belong; returns a path of each, by which it is seen whether they are there.

    ``path``: the file that says what is there; the list beside it says what can be taken out again. If the run is killed, it can be
    repeated from the start.
    """
    before = _read(path + LIST)
    files.remove(path)
    brought: list[Brought] = []
    witnesses: list[str] = []
    for number, item in enumerate(items):
        root = os.open(f"{place}/{number}", _DIRECTORY)
        try:
            # A file keeps its mark when it is moved, so all marks are known before the first move; a copy keeps it but for the inode.
            brought.append(_listed(root, base(item), owner))
        finally:
            os.close(root)
    known = _marks([*before, *itertools.chain(*_others(path, brought).values())])
    made = [each for each in (_made(found["to"], known) for found in brought) if each["directories"]]
    _write(path + LIST, before + brought + made)
    # From here on it is no longer complete.
    files.remove(f"{place}/complete")
    loose: list[Brought] = []

    def copies() -> None:
        if not loose:
            loose.extend({**each, "files": {name: [COPIED, *mark[1:]] for name, mark in each["files"].items()}} for each in brought)
            _write(path + LIST, before + loose + made)

    for number, found in enumerate(brought):
        root = os.open(f"{place}/{number}", _DIRECTORY)
        try:
            witnesses += [f"{found['to']}/{name}" for name in sorted(os.listdir(root))[:1]]
            target = _opened(found["to"], owner)
            try:
                _merge(root, target, "", found, owner, copies)
            finally:
                os.close(target)
        finally:
            os.close(root)
    if loose:
        # Copies, unlike what was moved, have not been on the disk since all was unpacked; and soon it is said that they are there.
        os.sync()
    _take_out(path, before, keep=brought + made)
    _write(path + LIST, brought + made)
    files.remove(place)
    return witnesses


def obstacles(items: t.Sequence[Item], place: str, path: str) -> list[str]:
    """Where the task has a directory in the place of a file that is unpacked at ``place``, or a file in that of a directory.

    Neither is replaced, since nothing would bring it back. Links are replaced; what they lead to stays. What earlier artifacts brought,
    which ``path`` tells, does not count: it goes. But it must be as they brought it, and a directory must have nothing else in it.
    """
    ours = _read(path + LIST)
    earlier = _marks(ours)
    # Where tasks share a directory, the files are there as the last one of them put them there.
    for target, marks in _marks(itertools.chain(*_others(path, ours).values())).items():
        if target in earlier:
            earlier[target] += marks
    found = []
    for number, item in enumerate(items):
        to = base(item)
        inside = [(f"{to}/{name}", is_directory) for name, is_directory in _entries(f"{place}/{number}")]
        for target, is_directory in [*((above, True) for above in _way(to)), *inside]:
            there = _at(target)
            if there is None or stat.S_ISLNK(there.st_mode) or stat.S_ISDIR(there.st_mode) is is_directory or _is_brought(target, earlier):
                continue
            what = "file" if is_directory else "directory"
            found.append(f"{item['name']}: a {what} of the task's is in the place of {target}; move it away")
    return found


def _entries(root: str) -> t.Iterator[tuple[str, bool]]:
    """All that is below a directory, by names relative to it, and whether each is a directory."""
    for at, directories, names in os.walk(root):
        for name in (*directories, *names):
            full = f"{at}/{name}"
            yield full[len(root) + 1 :], stat.S_ISDIR(os.lstat(full).st_mode)


def _at(path: str) -> os.stat_result | None:
    """What is at a path, without following any link on the way to it."""
    try:
        with files.Parent(path) as (directory, name):
            return os.lstat(name, dir_fd=directory)
    except OSError:
        return None


def _is_brought(path: str, earlier: t.Mapping[str, t.Sequence[Mark]]) -> bool:
    """Whether what is at a path is as earlier artifacts brought it, with all that is below it."""
    try:
        with files.Parent(path) as (directory, name):
            return _is_all_brought(directory, name, path, earlier)
    except OSError:
        # The task is at work there.
        return False


def _is_all_brought(fd: int, name: str, path: str, earlier: t.Mapping[str, t.Sequence[Mark]]) -> bool:
    if path not in earlier:
        return False
    found = os.lstat(name, dir_fd=fd)
    if not stat.S_ISDIR(found.st_mode):
        return any(_is_unchanged(found, mark) for mark in earlier[path])
    below = os.open(name, _DIRECTORY, dir_fd=fd)
    try:
        return all(_is_all_brought(below, each, f"{path}/{each}", earlier) for each in os.listdir(below))
    finally:
        os.close(below)


def take_out(path: str) -> None:
    """Remove what artifacts brought, as far as it is what they brought."""
    _take_out(path, _read(path + LIST), keep=())
    files.remove(path + LIST)
    files.remove(path)


def _read(path: str) -> list[Brought]:
    try:
        with open(path, encoding="ascii") as stream:
            found: list[Brought] = json.load(stream)
    except (FileNotFoundError, ValueError):
        return []
    return found


def _write(path: str, brought: t.Sequence[Brought]) -> None:
    files.write(path, json.dumps(list(brought)).encode("ascii"), 0, 0, 0o600)


def _listed(root: int, to: str, owner: t.Tuple[int, int]) -> Brought:
    """All that is in an unpacked artifact, which is given to its owner. Only root can get there yet."""
    found: Brought = {"to": to, "files": {}, "directories": []}
    for at, directories, names, fd in os.fwalk(".", dir_fd=root):
        where = "" if at == "." else at[2:] + "/"
        os.fchown(fd, *owner)
        if where:
            found["directories"].append(where[:-1])
        links = [name for name in directories if stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)]
        for name in [*names, *links]:
            os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
            found["files"][where + name] = _mark(os.lstat(name, dir_fd=fd))
    return found


def _mark(found: os.stat_result) -> Mark:
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _is_unchanged(found: os.stat_result, mark: Mark) -> bool:
    now = _mark(found)
    return now == mark or (mark[0] == COPIED and now[1:] == mark[1:])


def _marks(brought: t.Iterable[Brought]) -> dict[str, list[Mark]]:
    """The paths of all that was brought, and how each may have been put there; that of a directory has no mark."""
    found: dict[str, list[Mark]] = {}
    for each in brought:
        for name in each["directories"]:
            found.setdefault(f"{each['to']}/{name}", [])
        for name, mark in each["files"].items():
            found.setdefault(f"{each['to']}/{name}", []).append(mark)
    return found


def _others(path: str, ours: t.Iterable[Brought]) -> dict[str, list[Brought]]:
    """The lists of other tasks that brought something to a directory which they share with the task of this one, by their paths."""
    task, name = os.path.split(path)
    tasks, own = os.path.split(task)
    shared = {_own(each["to"]) for each in ours if not each["to"].startswith(task + "/")}
    others = [each for each in files.names(tasks) if each != own] if shared else []
    found = {f"{tasks}/{other}/{name}{LIST}": _read(f"{tasks}/{other}/{name}{LIST}") for other in others}
    return {each: theirs for each, theirs in found.items() if not shared.isdisjoint(_own(one["to"]) for one in theirs)}


def _own(path: str) -> str:
    """The directory above a path that is sure to be there."""
    return "/".join(path.split("/")[:OWN])


def _way(path: str) -> list[str]:
    """The directories down to this one, without those that are sure to be there."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(OWN + 1, len(parts) + 1)]


def _made(to: str, known: t.Container[str]) -> Brought:
    """The directories that are made so that something can be put below one, or that artifacts are known to have brought there before."""
    own = _own(to)
    made = []
    for path in _way(to):
        there = _at(path)
        if path in known or there is None or not stat.S_ISDIR(there.st_mode):
            made.append(path[len(own) + 1 :])
    return {"to": own, "files": {}, "directories": made}


def _opened(path: str, owner: t.Tuple[int, int]) -> int:
    """A directory of the task's, which is made if it is missing. Anything else in its place is removed."""
    own = _own(path)
    fd = files.Parent(f"{own}/-").fd
    for name in filter(None, path[len(own) :].split("/")):
        try:
            below = _entered(fd, name, owner)
        finally:
            os.close(fd)
        fd = below
    return fd


def _entered(fd: int, name: str, owner: t.Tuple[int, int]) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        files.remove_at(fd, name)
    os.mkdir(name, 0o755, dir_fd=fd)
    below = os.open(name, _DIRECTORY, dir_fd=fd)
    # Before it was open, the task may have put another one in its place.
    if os.fstat(below).st_uid == os.geteuid() and not os.listdir(below):
        os.fchown(below, *owner)
    return below


def _merge(source: int, target: int, where: str, brought: Brought, owner: t.Tuple[int, int], copies: t.Callable[[], None]) -> None:
    """Move everything from one opened directory into another: directories are merged, anything else is replaced. ``copies``: called
    before anything is copied.
    """
    for name in os.listdir(source):
        found = os.lstat(name, dir_fd=source)
        there = _there(target, name)
        if stat.S_ISDIR(found.st_mode):
            if there is not None and not stat.S_ISDIR(there.st_mode):
                files.remove_at(target, name)
            if (there is None or not stat.S_ISDIR(there.st_mode)) and _moved(source, target, name):
                continue
            inner, below = os.open(name, _DIRECTORY, dir_fd=source), _entered(target, name, owner)
            try:
                if there is None:
                    os.fchmod(below, stat.S_IMODE(found.st_mode))
                _merge(inner, below, f"{where}{name}/", brought, owner, copies)
            finally:
                os.close(inner)
                os.close(below)
        else:
            if there is not None and stat.S_ISDIR(there.st_mode):
                files.remove_at(target, name)
            if not _moved(source, target, name):
                copies()
                brought["files"][where + name] = _copied(source, target, name, found, owner)


def _there(fd: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return None


def _moved(source: int, target: int, name: str) -> bool:
    """Whether it was moved: not to another file system, nor into a directory with a quota (another project) of its own."""
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


def _copied(source: int, target: int, name: str, found: os.stat_result, owner: t.Tuple[int, int]) -> Mark:
    """Copy what could not be moved; the mark of the copy."""
    files.remove_at(target, TEMPORARY)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), TEMPORARY, dir_fd=target)
        os.chown(TEMPORARY, *owner, dir_fd=target, follow_symlinks=False)
        os.utime(TEMPORARY, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        into = os.fdopen(os.open(TEMPORARY, flags, 0o600, dir_fd=target), "wb")
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source), "rb") as content, into as stream:
            shutil.copyfileobj(content, stream, 1 << 20)
            stream.flush()
            os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), stat.S_IMODE(found.st_mode))
            os.utime(stream.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
    os.rename(TEMPORARY, name, src_dir_fd=target, dst_dir_fd=target)
    return _mark(os.lstat(name, dir_fd=target))


def _take_out(path: str, before: t.Sequence[Brought], keep: t.Iterable[Brought]) -> None:
    kept = set(_marks(keep))
    others = _others(path, before)
    _hand_over(others, before, kept)
    kept.update(_marks(itertools.chain(*others.values())))
    for each in before:
        for name, mark in each["files"].items():
            if f"{each['to']}/{name}" not in kept:
                _take(f"{each['to']}/{name}", mark)
        if any(mark[0] == COPIED for mark in each["files"].values()):
            for name in ("", *each["directories"]):
                _take(os.path.join(each["to"], name, TEMPORARY))
    # What one artifact brought may be in a directory of another one.
    for directory in sorted({f"{each['to']}/{name}" for each in before for name in each["directories"]} - kept, reverse=True):
        _take_empty(directory)


def _hand_over(others: t.Mapping[str, list[Brought]], before: t.Iterable[Brought], kept: t.Container[str]) -> None:
    """Write down that other tasks brought what this one put there and has no use for any more: who is the last of them takes it out."""
    going = {path: marks for path, marks in _marks(before).items() if path not in kept}
    for path, theirs in others.items():
        changed = False
        for each in theirs:
            for name in each["files"]:
                there = _at(f"{each['to']}/{name}") if f"{each['to']}/{name}" in going else None
                if there is not None and any(_is_unchanged(there, mark) for mark in going[f"{each['to']}/{name}"]):
                    each["files"][name] = _mark(there)
                    changed = True
        if changed:
            _write(path, theirs)


def _take(path: str, mark: Mark | None = None) -> None:
    """Remove a file that is as it was put there; without a mark, whatever it is."""
    try:
        with files.Parent(path) as (directory, name):
            found = os.lstat(name, dir_fd=directory)
            if mark is None or _is_unchanged(found, mark):
                os.unlink(name, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise


def _take_empty(path: str) -> None:
    """Remove a directory; one in which others have put something stays."""
    try:
        with files.Parent(path) as (directory, name):
            os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST):
            raise
