# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of an allocation in Nomad's bridge mode: what Nomad 2.0 does itself, and the CNI plugins that it calls, as libcni calls them.

Its text runs on a robot, which has none of these modules: it imports the standard library alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

# Debian's.
PLUGINS = "/usr/lib/cni"
# By default Nomad has the network that our pods have by default, and one robot cannot have it twice.
BRIDGE, SUBNET, ADMIN = "nomad", "172.27.64.0/20", "NOMAD-ADMIN"
VERSION, NAME, INTERFACE = "0.4.0", "nomad", "eth0"
CHAIN: list[dict[str, t.Any]] = [
    {"type": "loopback"},
    {
        "type": "bridge",
        "bridge": BRIDGE,
        "ipMasq": True,
        "isGateway": True,
        "forceAddress": True,
        "hairpinMode": False,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": SUBNET}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/var/run/cni"},
    },
    {"type": "firewall", "backend": "iptables", "iptablesAdminChainName": ADMIN},
    {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
]


def namespace(alloc: str) -> str:
    return f"/var/run/netns/{alloc}"


def settings(plugin: dict[str, t.Any], ports: list[dict[str, t.Any]], result: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """What a plugin of the chain reads: its own part of the list, and what the one before it came to."""
    read = {**plugin, "cniVersion": VERSION, "name": NAME}
    if plugin.get("capabilities", {}).get("portMappings"):
        read["runtimeConfig"] = {"portMappings": ports}
    if result is not None:
        read["prevResult"] = result
    return read


def call(command: str, alloc: str, reads: dict[str, t.Any], folder: str) -> str:
    """One plugin, once; what it says. It says a result when it adds, and nothing when it deletes."""
    environment = {
        **os.environ,
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": alloc,
        "CNI_NETNS": namespace(alloc),
        "CNI_IFNAME": INTERFACE,
        "CNI_PATH": folder,
        "CNI_ARGS": f"IgnoreUnknown=true;NOMAD_ALLOC_ID={alloc}",
    }
    program = os.path.join(folder, reads["type"])
    done = subprocess.run([program], input=json.dumps(reads), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program} {command}: {done.stdout}{done.stderr}")
    return done.stdout


def add(alloc: str, folder: str = PLUGINS) -> dict[str, t.Any]:
    """All plugins, each with the result of the one before it; the last result."""
    result = None
    for plugin in CHAIN:
        result = json.loads(call("ADD", alloc, settings(plugin, [], result), folder))
    return result or {}


def delete(alloc: str, result: dict[str, t.Any], folder: str = PLUGINS) -> None:
    """All plugins from the last one to the first, each with the result of all."""
    for plugin in reversed(CHAIN):
        call("DEL", alloc, settings(plugin, [], result), folder)


def admin_chain() -> None:
    """Nomad's own chain, which it looks for before each allocation: the program's version, the chains, and the rule."""
    rule = [ADMIN, "-o", BRIDGE, "-d", SUBNET, "-j", "ACCEPT"]
    _run("iptables", "--version")
    if f"-N {ADMIN}" not in _run("iptables", "--wait", "-t", "filter", "-S").splitlines():
        _run("iptables", "--wait", "-t", "filter", "-N", ADMIN)
        _run("iptables", "--wait", "-t", "filter", "-A", *rule)
    _run("iptables", "--wait", "-t", "filter", "-C", *rule)


def up(alloc: str) -> dict[str, t.Any]:
    """A namespace, and its network."""
    _run("ip", "netns", "add", alloc)
    admin_chain()
    return add(alloc)


def down(alloc: str, result: dict[str, t.Any]) -> None:
    delete(alloc, result)
    _run("ip", "netns", "delete", alloc)


def _run(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
