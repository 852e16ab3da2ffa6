# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that writes log files, with FIFOs that the test holds open as systemd does."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.logs import kernel
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.logs.rotator import Rotator, notify

SIZE = 1000


class Task:
    """A task, its two FIFOs, and a rotator that has seen them."""

    def __init__(self, base, **limits):
        self.base = base
        for name in ("configurations", "fifos", "tasks/app/logs"):
            (base / name).mkdir(parents=True, exist_ok=True)
        self.directory = base / "tasks/app/logs"
        self.configure(**limits)
        self.held = []
        self.make_fifos()
        self.writer = os.open(base / "fifos/app.stdout", os.O_WRONLY | os.O_NONBLOCK)
        self.start()

    def configure(self, **limits):
        text = json.dumps({"maxFiles": 4, "maxFileSize": SIZE, "onFull": "block", **limits})
        path = self.base / "configurations/.app.k8s4r~"
        path.write_text(text, encoding="utf-8")
        path.rename(self.base / "configurations/app")

    def make_fifos(self):
        for stream in ("stdout", "stderr"):
            path = self.base / f"fifos/app.{stream}"
            os.mkfifo(path)
            self.held.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            fcntl.fcntl(self.held[-1], kernel.SET_SIZE, kernel.CAPACITY)

    def start(self):
        self.rotator = Rotator(*(str(self.base / name) for name in ("configurations", "fifos", "tasks")))
        self.rotator.look()

    def write(self, content: bytes):
        assert os.write(self.writer, content) == len(content)
        self.work()

    def work(self, seconds: float = 0.0):
        """Until there has been nothing to do for so long."""
        for _turn in range(8):
            self.rotator.turn(seconds)
        self.rotator.empty(5)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.directory.glob("stdout.log*"))}

    def end(self):
        for descriptor in (*self.held, self.writer):
            os.close(descriptor)


@pytest.fixture
def task(tmp_path):
    task = Task(tmp_path)
    yield task
    task.end()


def line(number: int, length: int = 99) -> bytes:
    return b"%d " % number + b"x" * (length - len(str(number)) - 1) + b"\n"


def test_a_line_begins_in_the_file_in_which_it_ends(task):
    for number in range(25):
        # Each in two writes.
        text = line(number)
        task.write(text[:37])
        task.write(text[37:])
    found = task.files()
    assert list(found) == ["stdout.log", "stdout.log.1", "stdout.log.2"]
    assert found["stdout.log.2"] == b"".join(map(line, range(10)))
    assert found["stdout.log.1"] == b"".join(map(line, range(10, 20)))
    assert found["stdout.log"] == b"".join(map(line, range(20, 25)))


def test_a_task_that_makes_its_pipe_one_of_packets_stops_nobody(task):
    """Near the end of a file, what is in the pipe is looked at first, through a pipe that all tasks share."""
    fcntl.fcntl(task.writer, fcntl.F_SETFL, fcntl.fcntl(task.writer, fcntl.F_GETFL) | os.O_DIRECT)
    for _burst in range(40):
        for _packet in range(15):
            os.write(task.writer, b"p\n")
        task.work()
    assert b"".join(task.files().values()) == b"p\n" * 600


def test_the_oldest_goes(task):
    task.write(b"".join(map(line, range(100))))
    found = task.files()
    assert sorted(found) == ["stdout.log", "stdout.log.1", "stdout.log.2", "stdout.log.3"]
    assert b"".join(found[name] for name in sorted(found, reverse=True)).startswith(line(60))
    assert max(map(len, found.values())) <= SIZE


def test_one_file_alone_begins_anew(tmp_path):
    task = Task(tmp_path, maxFiles=1)
    task.write(b"".join(map(line, range(15))))
    assert task.files() == {"stdout.log": b"".join(map(line, range(10, 15)))}
    task.end()


def test_a_line_longer_than_a_file_is_split_and_whole(task):
    task.write(b"x" * 2500 + b"\n" + line(1))
    task.work(0.3)
    found = task.files()
    assert b"".join(found[name] for name in sorted(found, reverse=True)) == b"x" * 2500 + b"\n" + line(1)
    assert max(map(len, found.values())) <= SIZE + SIZE // 4


def test_what_is_no_complete_line_is_written_when_nothing_comes(task):
    os.write(task.writer, b"password: ")
    task.rotator.turn(0)
    assert task.files().get("stdout.log", b"") == b""
    deadline = time.monotonic() + 5
    while task.files()["stdout.log"] != b"password: " and time.monotonic() < deadline:
        task.rotator.turn(1)
    task.write(b"\n")
    assert task.files()["stdout.log"] == b"password: \n"


def test_a_large_file_is_filled_in_one_go_but_for_its_end(tmp_path):
    task = Task(tmp_path, maxFileSize=300000)
    text = b"".join(map(line, range(2000)))
    for start in range(0, len(text), 50000):
        task.write(text[start : start + 50000])
    assert task.files()["stdout.log"] == text
    for start in range(0, len(text), 50000):
        task.write(text[start : start + 50000])
    found = task.files()
    assert found["stdout.log.1"] + found["stdout.log"] == text + text
    assert len(found["stdout.log.1"]) == 300000
    task.end()


def test_whoever_was_killed_left_all_in_the_fifo(task):
    for number in range(30):
        os.write(task.writer, line(number))
        if number % 3 == 0:
            task.rotator.turn(0)
        if number % 7 == 0:
            task.start()
    task.work()
    found = task.files()
    assert b"".join(found[name] for name in sorted(found, reverse=True)) == b"".join(map(line, range(30)))


def test_a_rotation_that_was_cut_off_is_continued_without_a_loss(task):
    task.write(b"".join(map(line, range(35))))
    (task.directory / "stdout.log.2").rename(task.directory / "stdout.log.3")
    task.write(b"".join(map(line, range(35, 45))))
    found = task.files()
    assert found["stdout.log.3"] == b"".join(map(line, range(10, 20)))
    assert b"".join(found[name] for name in sorted(found, reverse=True)) == b"".join(map(line, range(10, 45)))


@pytest.mark.parametrize("planted", ["link", "hard link", "fifo"])
def test_what_a_task_has_put_in_the_place_of_a_file_is_not_written(task, tmp_path, planted):
    target, place = tmp_path / "target", task.directory / "stdout.log"
    target.write_bytes(b"mine")
    place.unlink(missing_ok=True)
    {"link": place.symlink_to, "hard link": place.hardlink_to, "fifo": lambda _target: os.mkfifo(place)}[planted](target)
    task.write(line(1))
    assert target.read_bytes() == b"mine"
    assert task.files()["stdout.log"] == line(1)
    assert place.lstat().st_nlink == 1


def test_a_directory_that_is_a_link_is_not_followed(task, tmp_path):
    task.write(line(1))
    (tmp_path / "other").mkdir()
    task.directory.rename(tmp_path / "tasks/app/moved")
    (tmp_path / "tasks/app/moved/stdout.log").unlink()
    task.directory.symlink_to(tmp_path / "other")
    task.write(line(2))
    assert list((tmp_path / "other").iterdir()) == []
    # Nothing is lost: it waits.
    task.directory.unlink()
    task.directory.mkdir()
    time.sleep(1.1)
    task.work()
    assert task.files()["stdout.log"] == line(2)


def test_a_file_that_somebody_removed_or_emptied(task):
    task.write(line(1))
    os.truncate(task.directory / "stdout.log", 0)
    task.write(line(2))
    assert task.files()["stdout.log"] == line(2)
    (task.directory / "stdout.log").unlink()
    task.write(line(3))
    assert task.files()["stdout.log"] == line(3)


def test_a_file_of_no_number_that_a_task_has_made_stops_nobody(task):
    """To Python such a character is a digit, and still no number."""
    task.write(line(1))
    (task.directory / "stdout.log.²").touch()
    (task.directory / "stdout.log").unlink()
    task.write(line(2))
    assert task.files() == {"stdout.log": line(2), "stdout.log.²": b""}


def full(*_arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_on_a_full_disk_the_task_waits(task, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(kernel, "move", full)
        task.write(line(1))
    assert task.files()["stdout.log"] == b""
    time.sleep(1.1)
    task.work()
    assert task.files()["stdout.log"] == line(1)


def test_nothing_is_lost_where_the_file_system_cannot_splice_and_is_full(task, monkeypatch):
    written = os.write

    def unable(_pipe, _file, _count):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def short(file, data):
        return written(file, data[:7]) if os.fstat(file).st_size < 7 else full(file, data)

    monkeypatch.setattr(kernel, "move", unable)
    task.write(line(1))
    assert task.files()["stdout.log"] == line(1)
    assert os.write(task.writer, line(2)) == len(line(2))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        task.work()
    assert task.files()["stdout.log"] == line(1)
    time.sleep(1.1)
    task.work()
    assert task.files()["stdout.log"] == line(1) + line(2)


def test_a_task_that_reads_its_own_pipe_keeps_nobody(tmp_path, monkeypatch):
    """What has been seen is gone, and nobody is left who writes."""
    task = Task(tmp_path)
    look, looks = kernel.Peephole.look, []

    def seen(peephole, fifo):
        found = look(peephole, fifo)
        looks.append(found)
        # The second one is right before it is written.
        if len(looks) == 2:
            os.read(fifo, len(found))
            task.end()
            task.held.clear()
        return found

    def unable(_pipe, _file, _count):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def late(*_signal):
        raise AssertionError("it is kept")

    monkeypatch.setattr(kernel, "move", unable)
    monkeypatch.setattr(kernel.Peephole, "look", seen)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    try:
        os.write(task.writer, line(1))
        task.work()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert looks[:2] == [line(1)] * 2


def test_dropped_lines_are_counted_and_the_next_one_is_whole(tmp_path, monkeypatch):
    task = Task(tmp_path, onFull="drop")
    with monkeypatch.context() as patched:
        patched.setattr(kernel, "move", full)
        task.write(line(1) + line(2) + b"the start")
        task.write(b" of a line")
    time.sleep(1.1)
    task.write(b", and its end\n")
    said = b"k8s4r: 2 lines were dropped, because they could not be written: No space left on device\n"
    assert task.files()["stdout.log"] == said + b"the start of a line, and its end\n"
    task.end()


def test_other_limits_are_taken_in(task):
    task.write(b"".join(map(line, range(35))))
    task.configure(maxFiles=2)
    task.work()
    task.write(line(35))
    assert sorted(task.files()) == ["stdout.log", "stdout.log.1"]
    task.configure(maxFiles=2, maxFileSize=200)
    task.work()
    task.write(line(36))
    # The one of 1,000 bytes is beyond the bound of now.
    assert [len(content) for content in task.files().values()] == [100, 600]


def test_a_task_that_is_started_anew_gets_other_fifos(task):
    os.write(task.writer, line(1))
    for stream in ("stdout", "stderr"):
        (task.base / f"fifos/app.{stream}").unlink()
    task.end()
    task.held.clear()
    task.make_fifos()
    task.writer = os.open(task.base / "fifos/app.stdout", os.O_WRONLY | os.O_NONBLOCK)
    task.write(line(2))
    assert sorted(task.files()["stdout.log"].splitlines()) == [line(1).strip(), line(2).strip()]


def test_where_somebody_has_removed_the_directory_both_the_old_fifos_and_the_new_ones_are_read(task):
    task.write(line(1))
    for stream in ("stdout", "stderr"):
        (task.base / f"fifos/app.{stream}").unlink()
    (task.base / "fifos").rename(task.base / "removed")
    assert not task.rotator.is_displaced()
    (task.base / "fifos").mkdir()
    assert task.rotator.is_displaced()
    task.rotator.watch_again()
    assert not task.rotator.is_displaced()
    # The task that runs still writes where it did.
    task.write(line(2))
    former = [*task.held, task.writer]
    task.held.clear()
    task.make_fifos()
    task.writer = os.open(task.base / "fifos/app.stdout", os.O_WRONLY | os.O_NONBLOCK)
    os.write(former[-1], line(3))
    task.write(line(4))
    assert sorted(task.files()["stdout.log"].splitlines()) == [line(number).strip() for number in (1, 2, 3, 4)]
    for descriptor in former:
        os.close(descriptor)


def test_a_task_that_goes_has_its_last_lines_written_and_nothing_stays_open(task):
    task.work()
    before = len(os.listdir("/proc/self/fd"))
    os.write(task.writer, line(1) + b"no end")
    (task.base / "configurations/app").unlink()
    task.work()
    assert task.files()["stdout.log"] == line(1) + b"no end"
    # Two FIFOs, and of each stream that has written a file and a directory.
    assert len(os.listdir("/proc/self/fd")) <= before - 4


def test_what_is_no_configuration_hides_no_other_one(task, capsys):
    others = {"broken": "{", "empty": "{}", "list": "[]", "none": '{"maxFiles": 0, "maxFileSize": 1, "onFull": "block"}', "text": '"x"'}
    for name, content in others.items():
        (task.base / "configurations" / name).write_text(content, encoding="utf-8")
    task.write(line(1))
    assert task.files()["stdout.log"] == line(1)
    said = capsys.readouterr().err
    assert [name for name in others if f"configurations/{name}: " not in said] == []


def test_systemd_is_told(tmp_path, monkeypatch):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert listener.recv(100) == b"READY=1"


def test_a_fifo_that_was_made_and_not_yet_held_is_read_later(tmp_path):
    """systemd makes a FIFO, and opens it then. Between the two, nobody seems to write there any more."""
    task = Task(tmp_path)
    task.end()
    task.start()
    # The rotator has seen it without a writer.
    task.rotator.turn(0.0)
    task.held = [os.open(tmp_path / f"fifos/app.{stream}", os.O_RDWR | os.O_NONBLOCK) for stream in ("stdout", "stderr")]
    task.writer = os.open(tmp_path / "fifos/app.stdout", os.O_WRONLY | os.O_NONBLOCK)
    os.write(task.writer, b"first\n")
    deadline = time.monotonic() + 10
    while task.files() != {"stdout.log": b"first\n"} and time.monotonic() < deadline:
        task.rotator.turn(0.1)
    assert task.files() == {"stdout.log": b"first\n"}
    task.end()
