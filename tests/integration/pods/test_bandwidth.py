# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of what a pod sends and receives: it holds both ways, and changes while programs run."""

from __future__ import annotations

import pytest

from tests.integration.pods.network import Pods

ADDRESS, PORT = "172.26.64.7", 9000
MBITS, BYTES = 8, 2_000_000
# What the bucket held does not wait. A slow machine takes longer, and never less.
SECONDS = (BYTES - 65536) * 8 / (MBITS * 1_000_000) * 0.9
# Takes everything, and gives as much back.
GIVES_BACK = f"""
import socket
listener = socket.create_server(("", {PORT}))
while True:
    connection = listener.accept()[0]
    taken = 0
    while taken < {BYTES}:
        taken += len(connection.recv(65536))
    connection.sendall(b"x")
    # Not before the other side has looked at its clock: what waits for it there takes no time.
    connection.recv(1)
    connection.sendall(bytes({BYTES}))
    connection.close()
"""
# How long it takes the pod to receive it, and then to send it.
BOTH_WAYS = f"""
import socket, time
connection = socket.create_connection(("{ADDRESS}", {PORT}))
begun = time.monotonic()
connection.sendall(bytes({BYTES}))
connection.recv(1)
received = time.monotonic()
connection.sendall(b"x")
while connection.recv(65536):
    pass
print(received - begun, time.monotonic() - received)
"""


@pytest.fixture(scope="module")
def pods(robots):
    pods = Pods(robots[0])
    pods.file("one", "default/fleet/api", ADDRESS)
    pods.make("one")
    pods.machine.execute("cat > /run/gives.py", GIVES_BACK.encode())
    pods.machine.execute("cat > /run/both.py", BOTH_WAYS.encode())
    pods.machine.sh("systemd-run --quiet --collect --unit=answers-gives ip netns exec k8s4r-one python3 /run/gives.py")
    pods.machine.until(f"ip netns exec k8s4r-one ss -ltn | grep -q ':{PORT} '")
    yield pods
    pods.wipe()


def test_a_pod_sends_and_receives_no_more_than_its_limit_which_comes_and_goes_while_it_runs(pods):
    shaped = "tc qdisc show; ip netns exec k8s4r-one tc qdisc show dev eth0"
    assert " tbf " not in pods.machine.sh(shaped)
    pods.file("one", "default/fleet/api", ADDRESS, mbits=MBITS)
    pods.ensure()
    assert pods.machine.sh(shaped).count(f" rate {MBITS}Mbit ") == 2
    assert pods.ensure() == ""
    took = [float(each) for each in pods.machine.sh("python3 /run/both.py").split()]
    assert min(took) >= SECONDS
    pods.file("one", "default/fleet/api", ADDRESS)
    pods.ensure()
    assert " tbf " not in pods.machine.sh(shaped)
