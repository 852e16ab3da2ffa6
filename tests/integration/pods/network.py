# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of a robot as bare networks: a namespace, a link and a file for each, with programs that answer whom they see."""

from __future__ import annotations

import json
import shlex
import typing as t

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.six import family
from tests.integration.engine.harness import Machine

RANGE, GATEWAY = "172.26.64.0/20", "172.26.64.1"
RANGE6, GATEWAY6 = "fd4b:9a12:7c30::/64", "fd4b:9a12:7c30::1"
TCP, UDP = 8080, 8081
ANSWERS = """
import contextlib, socket, sys, threading
at, tcp, udp = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in at else socket.AF_INET
listener = socket.create_server((at, tcp), family=family, backlog=64)
packets = socket.socket(family, socket.SOCK_DGRAM)
if ":" in at:
    packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
packets.bind((at, udp))
def each_packet():
    while True:
        said, who = packets.recvfrom(100)
        # A forged packet may come from where no answer can go.
        with contextlib.suppress(OSError):
            packets.sendto(who[0].encode(), who)
threading.Thread(target=each_packet, daemon=True).start()
while True:
    connection, who = listener.accept()
    connection.sendall(who[0].encode())
    connection.close()
"""
ASKS = """
import json, select, socket, sys
asked = json.load(sys.stdin)
def ask(address, port, protocol):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.setblocking(False)
    try:
        s.connect((address, port))
    except BlockingIOError:
        pass
    except OSError:
        return None
    return s if protocol == "tcp" or says(s) else None
def says(s):
    try:
        return s.send(b"?")
    except OSError:
        return 0
answers = [""] * len(asked)
waiting = {s: place for place, each in enumerate(asked) if (s := ask(*each))}
# Looks in vain are counted, not the time: a robot that has stood still for a second looks for what came meanwhile.
looks = round(float(sys.argv[1]) / 0.05)
while waiting and looks > 0:
    ready = select.select(list(waiting), [], [], 0.05)[0]
    looks -= not ready
    # TCP asks again by itself after a second.
    if not ready and looks % 10 == 0:
        for s in waiting:
            if s.type == socket.SOCK_DGRAM:
                says(s)
    for s in ready:
        try:
            answers[waiting.pop(s)] = s.recv(100).decode()
        except OSError:
            pass
print(json.dumps(answers))
"""
# What is let through answers within milliseconds, or after 1 s if its first packet was lost; what is not, mostly never.
PATIENCE = 1.5

Question = tuple[str, int, str]


def listening(pod: str, *ports: int) -> str:
    """A condition: whether somebody listens on all of these ports in a pod."""
    sockets = f"$(ip netns exec k8s4r-{pod} ss -Hltun)"
    return " && ".join(f"echo \"{sockets}\" | grep -q ':{port} '" for port in ports)


def six(address: str) -> str:
    """The address of IPv6 of a pod that has this one of IPv4."""
    return family.address(RANGE6, address)


class Pods:
    """The pods of a robot. ``machine`` is clean."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.addresses: dict[str, str] = {}
        self.wipe()
        assert machine.call(op="probe")["status"] == "ok"
        machine.execute("cat > /run/answers.py", ANSWERS.encode())
        machine.execute("cat > /run/asks.py", ASKS.encode())

    def wipe(self) -> None:
        """Nothing of a pod."""
        self.machine.sh(
            "systemctl stop 'answers-*' 2>/dev/null; for n in $(ip netns list | cut -d' ' -f1); do ip netns delete $n; done;"
            " ip link delete k8s4r0 2>/dev/null; nft flush ruleset;"
            " for f in -4 -6; do ip $f rule list | grep -o '^146[456]:' | tr -d : | while read p; do ip $f rule delete pref $p; done; done"
        )

    def file(
        self,
        id: str,
        group: str,
        address: str,
        reach: t.Sequence[str] = (),
        ports: t.Sequence[dict[str, t.Any]] = (),
        both: bool = False,
        **more: t.Any,
    ) -> None:
        """The pod as its file says. ``both``: it has an address of IPv6, too."""
        pod = {**more, "name": id, "group": group, "address": address, "range": RANGE, "reach": list(reach), "ports": list(ports)}
        pod.update(hosts={}, dns={"servers": [], "searches": []})
        if both:
            pod.update(range6=RANGE6, address6=six(address))
        self.addresses[id] = address
        self.machine.execute(f"mkdir -p {plan.PODS} && cat > {plan.PODS}/{id}", json.dumps(pod).encode())

    def answer(self, unit: str, address: str, tcp: int, udp: int, id: str = "") -> None:
        """A program that answers, on the robot or in a pod."""
        where = f"ip netns exec k8s4r-{id} " if id else ""
        self.machine.sh(f"systemd-run --quiet --collect --unit={unit} {where}python3 /run/answers.py {address} {tcp} {udp}")

    def make(self, *ids: str, at: t.Sequence[str] = ("0.0.0.0",)) -> None:
        """Pods whose files are there, with programs in each that answer at all its addresses, of each family in ``at``."""
        for id in ids:
            self._engine("program", "up", id)
            for number, address in enumerate(at):
                self.answer(f"answers-{id}-{number}", address, TCP, UDP, id)
        for id in ids:
            self.machine.until(f"test $(ip netns exec k8s4r-{id} ss -Hltn | grep -c ':{TCP} ') = {len(at)}")

    def ensure(self) -> str:
        """Have the walls as the files say; what was not so."""
        return self._engine("walls")

    def _engine(self, program: str, *arguments: str) -> str:
        """One of the engine's programs; what it says."""
        done = self.machine.script(f"sys.argv[1:] = {list(arguments)!r}\nfrom k8s4r_engine.pods import {program}\n{program}.main()")
        assert done.status == 0, done
        return done.stderr

    def inside(self, id: str, command: str) -> str:
        """A command in a pod, as root."""
        return self.machine.sh(f"ip netns exec k8s4r-{id} sh -c {shlex.quote(command)}")

    def ask(self, who: str, *questions: Question) -> list[str]:
        """What a pod is answered, or the robot itself for no name: by each the address that it sees, or nothing."""
        front = f"ip netns exec k8s4r-{who} " if who else ""
        return asked(self.machine, questions, front)


def asked(machine: Machine, questions: t.Sequence[Question], front: str = "") -> list[str]:
    outcome = machine.execute(f"{front}python3 /run/asks.py {PATIENCE}", json.dumps(questions).encode())
    assert outcome.status == 0, outcome
    found: list[str] = json.loads(outcome.stdout)
    return found
