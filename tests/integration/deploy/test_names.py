# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's own DNS server, asked from inside a pod while a service moves. It shares a fleet with Envoy with test_discovery.py."""

from __future__ import annotations

import ast

import pytest

from tests.integration.deploy.test_discovery import LOOPBACK, Shop, job

pytestmark = pytest.mark.robots

# What the programs of a pod find: names by its own resolver, which is asked by getaddrinfo, and ports by the server that it names.
ASK = r"""
import re, socket, struct, urllib.request

def looked_up(name):
    try:
        return sorted({{each[4][0] for each in socket.getaddrinfo(name, None, socket.AF_INET)}})
    except OSError as error:
        return type(error).__name__

def ports(name):
    server = re.search("nameserver (.*)", open("/etc/resolv.conf").read()).group(1)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        asks.settimeout(10)
        asks.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!2H", 33, 1), (server, 53))
        answer = asks.recv(4096)
    # The first record begins with a pointer to the name: type, class, time to live, length; priority, weight, port.
    return struct.unpack_from("!2HIH3H", answer, 12 + len(labels) + 4 + 2)[6] if struct.unpack_from("!H", answer, 6)[0] else None

print([[looked_up(name) for name in {names}], ports({service!r}), urllib.request.urlopen("http://api:9000/", timeout=10).status])
"""
SIX = """
import socket

socket.create_connection(("fd4b:9a12:7c30::1", {port}), 10).close()
print(socket.getaddrinfo({name!r}, None, socket.AF_INET6)[0][4][0])
"""
SERVICE = "http.api.shop.svc.k8s4r.internal"
# Whom the robot itself asks.
ROBOTS = "dnsmasq --no-resolv --no-hosts --bind-interfaces --listen-address={0} --address=/printer.example/192.0.2.90 --pid-file"
LEFT = "ls -d /etc/k8s4r/dns /etc/k8s4r/names /run/k8s4r/dns /etc/systemd/system/k8s4r-dns.service /etc/systemd/system/*/k8s4r-dns.service"


class Names(Shop):
    def found(self, *names: str) -> list[object]:
        """What is found in the caller's pod."""
        found: list[object] = ast.literal_eval(self._inside(ASK.format(names=list(names), service=SERVICE)))
        return found

    def six(self, name: str, port: int) -> str:
        """The address of IPv6 of a name, in the caller's pod; the robot's port is connected with from there."""
        return self._inside(SIX.format(name=name, port=port)).strip()

    def name_of(self, address: str) -> str:
        """The name of an address, in the caller's pod."""
        return self._inside(f"import socket; print(socket.gethostbyaddr({address!r})[0])").strip()

    def pod(self, robot: str) -> tuple[str, str]:
        """The name and the address of the pod that serves on a robot."""
        pod = self.sh(robot, "ip netns list | grep -o 'shop-api-[^ ]*'").strip()
        return pod, self.sh(robot, f"ip netns exec k8s4r-{pod} ip -o -4 addr show dev eth0 | grep -o '172[^/]*'").strip()

    def _inside(self, program: str) -> str:
        self.caller.until("systemctl show -p MainPID --value 'k8s4r-task-shop-front-*' | grep -qv '^0$'")
        enter = "nsenter -m -n -t $(systemctl show -p MainPID --value 'k8s4r-task-shop-front-*') python3 -"
        outcome = self.caller.execute(enter, program.encode())
        assert outcome.status == 0, outcome
        return outcome.stdout


@pytest.fixture
def names(deployment):
    shop = Names(deployment.fleet, deployment.directory)
    other = shop.fleet.address("robot2")
    shop.sh("robot2", f"systemd-run -q --unit asked {ROBOTS.format(other)} --keep-in-foreground")
    shop.caller.sh(f"cp /etc/resolv.conf /root/resolv.conf; echo nameserver {other} >/etc/resolv.conf")
    yield shop
    shop.caller.sh("cp /root/resolv.conf /etc/resolv.conf")
    shop.sh("robot2", "systemctl stop asked")


def test_names_are_answered_in_pods_and_follow_a_service(names):
    def pods(*where):
        return job(*where).replace("    network:\n", "    network:\n      mode: group\n")

    ranges = "172.26.{{ '64' if inventory_hostname == 'robot1' else '80' }}.0/20"
    settings = {"k8s4r_dns": True, "k8s4r_dns_loopback": True, "k8s4r_pod_cidr": ranges, "k8s4r_pod_cidr6": "fd4b:9a12:7c30::/64"}
    names.deploy(pods("robot1|robot2", 2), **settings).well()
    other = names.fleet.address("robot2")
    pod, address = names.pod("robot1")
    asked = ("api", "http.api.shop.svc", f"{pod}.pod.k8s4r.internal", SERVICE, "printer.example", "none.svc.k8s4r.internal")
    own = [["127.0.0.1"], ["127.0.0.1"], [address]]
    assert names.found(*asked) == [[*own, sorted(["172.26.64.1", other]), ["192.0.2.90"], "gaierror"], 7000, 200]
    # By IPv6 it has an address, too, and its proxy is reached at one of its robot.
    address6 = names.caller.sh(f"ip netns exec k8s4r-{pod} ip -o -6 addr show dev eth0 | grep -o 'fd4b[^/]*'").strip()
    assert names.six(f"{pod}.pod.k8s4r.internal", 7000) == address6
    # So has the pod of its group on the other robot, and an address leads back to its name.
    far, far_address = names.pod("robot2")
    assert names.found(f"{far}.pod.k8s4r.internal")[0] == [[far_address]]
    assert names.name_of(far_address) == f"{far}.pod.k8s4r.internal"
    # Its own robot asks for a name that only this server knows.
    asks = f"python3 - <<'E'\n{LOOPBACK.format(f'{pod}.pod.k8s4r.internal')}E"
    assert names.caller.sh(asks).strip() == address
    assert set(names.deploy(pods("robot1|robot2", 2), **settings).well().changed.values()) == {0}
    # Somebody has stopped the server: it is said, and the next run has it answer.
    names.caller.sh("systemctl stop k8s4r-dns")
    assert "k8s4r-dns.service" in names.run("k8s4r.robot.status", job_name="shop").output
    assert "start k8s4r-dns.service" in names.deploy(pods("robot1|robot2", 2), **settings).well().output
    assert names.found(*asked)[0][:3] == own
    server = names.caller.sh("systemctl show -p InvocationID k8s4r-dns")
    # What moves is taken up by the server that runs; what has gone has no name.
    names.deploy(pods("robot2", 1), **settings).well()
    assert [names.found(f"{each}.pod.k8s4r.internal")[0] for each in (pod, far)] == [["gaierror"]] * 2
    assert names.found(*asked) == [[*own[:2], "gaierror", [other], ["192.0.2.90"], "gaierror"], 7000, 200]
    assert names.caller.sh("systemctl show -p InvocationID k8s4r-dns") == server
    # Without it, pods ask whom their robot asks, and nothing of it is left.
    names.deploy(pods("robot2", 1)).well()
    assert names.found(*asked[3:5]) == [["gaierror", ["192.0.2.90"]], None, 200]
    assert names.caller.execute(LEFT).stdout == ""
    assert names.caller.sh("ip -6 rule | grep -c 146; cat /proc/sys/net/ipv6/conf/all/forwarding; true").split() == ["0", "0"]
