# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a robot can have pods: all that they need of its kernel is tried, in a network of its own, which is gone afterwards.

Whatever the kernel has as a module, it loads. Programs that provisioning installs may be missing.
"""

from __future__ import annotations

from ..system import command
from . import guard
from .six import family

REMEDY = "provide it, or write mode: host"
_NAT = "translation of addresses"


def _table(chain: str, rule: str = "") -> str:
    """nft ends a rule with its line."""
    return f"table inet t {{\nchain {chain.replace(' ', '_')} {{\ntype {chain} priority 0;\n{rule}\n}}\n}}"


# What is asked, by which program, and what it is called.
_BRIDGE, _RULES = "bridges (the module bridge)", "rules for routing (CONFIG_IP_MULTIPLE_TABLES)"
STEPS = (
    ("ip", "link add name k8s4r0 type bridge", _BRIDGE),
    ("ip", "link add name veth0 type veth peer name veth1", "pairs of interfaces (the module veth)"),
    ("ip", "link set dev veth0 master k8s4r0", _BRIDGE),
    ("ip", "link set dev veth0 type bridge_slave isolated on learning off", "isolated ports of bridges (Linux 4.18)"),
    ("ip", "rule add pref 9 to 192.0.2.0/24 fwmark 8/8 prohibit protocol kernel", _RULES),
    ("tc", guard.at_pod("veth0", "192.0.2.1")[0], "filters of what comes in (the module sch_ingress)"),
    ("tc", guard.at_bridge()[0], "filters of what comes in (the module sch_ingress)"),
    ("tc", guard.at_bridge()[1], "filters by a program (the module cls_bpf)"),
    ("tc", guard.at_pod("veth0", "192.0.2.1")[1], "filters that redirect (the module act_mirred)"),
    ("nft", _table("filter hook forward"), "nftables (the modules nf_tables and nf_tables_inet)"),
    ("nft", _table("filter hook forward", "ct state new"), "tracking of connections (the modules nf_conntrack and nft_ct)"),
    ("nft", _table("filter hook forward", "fib daddr type local"), "nftables' look at routes (the module nft_fib_inet)"),
    ("nft", _table("nat hook prerouting", "meta l4proto tcp dnat ip to 192.0.2.1:80"), f"{_NAT} (the module nft_nat; Linux 5.2)"),
    ("nft", _table("nat hook postrouting", "masquerade"), f"{_NAT} (the module nft_masq)"),
)
# What pods need beside that, by what is asked for: with a limit of their bandwidth, and with IPv6.
MORE = {
    "": (),
    "bandwidth": (("tc", guard.bandwidth("veth0", 1), "limits of bandwidth (the module sch_tbf)"),),
    "ipv6": (
        ("ip -6", "rule add pref 9 to 2001:db8::/64 fwmark 8/8 prohibit protocol kernel", f"{_RULES} of IPv6"),
        ("nft", _table("filter hook prerouting", "exthdr rt exists drop"), "nftables' look at headers of IPv6 (the module nft_exthdr)"),
        ("nft", _table("filter hook forward", "ip6 daddr ::1 fib daddr type local"), "nftables' look at routes (the module nft_fib_ipv6)"),
        ("nft", _table("nat hook prerouting", "meta l4proto tcp dnat ip6 to [2001:db8::1]:80"), f"{_NAT} of IPv6 (the module nft_nat)"),
        ("nft", _table("nat hook postrouting", "ip6 saddr 2001:db8::1 masquerade"), f"{_NAT} of IPv6 (the module nft_masq)"),
    ),
}
_REMEDY_SIX = "make sure that it has it, or set k8s4r_pod_cidr6 of this robot to an empty text"
_NO_IP, _FIRST = 9, 10


def lacks(directory: str, more: str = "") -> str:
    """What is missing for pods, in words, or nothing. ``directory``: an empty one. ``more``: one of `MORE`."""
    if more == "ipv6" and not family.is_there():
        return f"a pod with IPv6 needs a robot with IPv6, and this robot's kernel has it turned off; {_REMEDY_SIX}"
    lines = []
    steps = (*STEPS, *MORE[more])
    for place, (program, text, _called) in enumerate(steps):
        path = f"{directory}/{place}"
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text + "\n")
        batch = "-f" if program == "nft" else "-batch"
        there = "" if program.startswith("ip") else f"! command -v {program} >/dev/null || "
        lines.append(f"{there}{program} {batch} {path} || exit {place + _FIRST}")
    script = "\n".join([f"command -v ip >/dev/null || exit {_NO_IP}", *lines])
    code, output = command.run(["unshare", "--net", "sh", "-c", script], timeout=60)
    said = " ".join(output.split())[:300]
    if not code:
        return ""
    if code == _NO_IP:
        return "a pod needs the program ip; install it (Debian's package iproute2), or write mode: host"
    if not _FIRST <= code < _FIRST + len(steps):
        return f"this robot refuses network namespaces ({said}); {REMEDY}"
    remedy = _REMEDY_SIX if more == "ipv6" and code - _FIRST >= len(STEPS) else REMEDY
    return f"a pod needs {steps[code - _FIRST][2]}, which this robot's kernel refuses ({said}); {remedy}"
