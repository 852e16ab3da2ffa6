# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bus may answer that the real one on a robot does not: the engine then asks systemctl instead."""

from __future__ import annotations

import socket
import threading

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import bus, systemd

UNIT = "k8s4r-task-a.service"
OK = b"OK 1234\r\n"
# The D-Bus specification, "Message Format": endianness, type, flags, version; lengths and serial; header fields; body.
HELLO = b"l\2\1\1" + bytes([8, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0]) + b"\5\1u\0\1\0\0\0" + b"\3\0\0\0:1.\0"
SIGNAL = b"l\4\1\1" + bytes([0, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0]) + b"\x08\1g\0\0\0\0\0"


def reply(serial: int, value: bytes, kind: int = bus.RETURN) -> bytes:
    """A reply with a variant; in front of the field that names the call are two of other types."""
    fields = b"\x06\1s\0\4\0\0\0:1.2\0\0\0\0" + b"\x08\1g\0\1v\0\0" + b"\5\1u\0" + serial.to_bytes(4, "little")
    numbers = (len(value), 7, len(fields))
    return b"l%c\1\1" % kind + b"".join(number.to_bytes(4, "little") for number in numbers) + fields + value


# By what a call is known to have arrived, the last one completely: what its last property is called.
ASKED = (b"AUTH", b"Hello", b"NRestarts")
ACTIVE = b"\1s\0\0\6\0\0\0active\0"
YES, NO = b"\1b\0\0\1\0\0\0", b"\1b\0\0\0\0\0\0"


def count(number: int) -> bytes:
    return b"\1u\0\0" + number.to_bytes(4, "little")


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """Makes a bus that answers with these bytes who asks to come in, then what its name is and then for properties; then it closes."""
    monkeypatch.setattr(bus, "SOCKET", str(tmp_path / "bus"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(bus.SOCKET)
    listening.listen()
    # Who does not come, or leaves early, must fail the test and not stop it.
    listening.settimeout(10)
    threads = []

    def serve(*parts: bytes) -> None:
        def work() -> None:
            connection, _address = listening.accept()
            connection.settimeout(10)
            for part, call in zip(parts, ASKED):
                asked = b""
                while call not in asked:
                    more = connection.recv(65536)
                    if not more:
                        return
                    asked += more
                connection.sendall(part)
            connection.close()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield serve
    listening.close()
    for thread in threads:
        thread.join()


def test_replies_are_told_apart_by_what_they_reply_to(answers):
    answers(OK, HELLO, SIGNAL + reply(4, count(2)) + reply(3, NO) + reply(2, ACTIVE))
    assert systemd.calm([UNIT], restarts=3)


CALLS = [("Unit", "ActiveState"), ("Unit", "NeedDaemonReload"), ("Service", "NRestarts")]


def test_a_value_of_another_type_and_an_error_are_none(answers):
    answers(OK, HELLO, reply(2, b"\1(uo)\0") + reply(3, b"", bus.ERROR) + reply(4, count(2)))
    assert bus.get([(UNIT, kind, name) for kind, name in CALLS]) == [None, None, 2]


@pytest.mark.parametrize(
    "said",
    [
        (ACTIVE, NO, count(3)),
        (ACTIVE, YES, count(0)),
        (ACTIVE.replace(b"active", b"failed"), NO, count(0)),
        (ACTIVE, NO, b"\1d\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ],
    ids=["restarted", "not loaded", "failed", "unknown type"],
)
def test_what_is_not_calm(answers, said):
    answers(OK, HELLO, b"".join(reply(2 + number, value) for number, value in enumerate(said)))
    assert not systemd.calm([UNIT], restarts=3)


@pytest.mark.parametrize(
    "parts",
    [
        (b"REJECTED EXTERNAL\r\n",),
        (b"ERROR",),
        (OK, b"B" + HELLO[1:]),
        (OK, HELLO, reply(2, ACTIVE)[:20]),
        (OK, HELLO, b"l\2\1\1" + bytes(12)),
        (OK, HELLO, b"".join([reply(number, ACTIVE) for number in (9, 2, 3)])),
    ],
    ids=["rejected", "closed early", "another byte order", "cut off", "a reply to nothing", "a reply to what was not asked"],
)
def test_a_bus_that_does_not_tell(answers, parts):
    answers(*parts)
    assert not systemd.calm([UNIT], restarts=3)


def test_no_bus(tmp_path, monkeypatch):
    monkeypatch.setattr(bus, "SOCKET", str(tmp_path / "none"))
    assert not systemd.calm([UNIT], restarts=3)
