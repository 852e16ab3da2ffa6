# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the robots what runs there, and shows it."""

from __future__ import annotations

import json
import shlex
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.demo.run import DemoError
from tests.demo.table import cores, mebibytes, table
from tests.robots import Fleet, RobotsError

ON_ROBOT = Path(__file__).resolve().parent / "on_robot"
CENTRE = "datacentre1"
STORES = {"postgresql": "rows in PostgreSQL", "api": "held by the API", "telemetry": "held by gRPC"}
INSTANCES = 4
STRANGER = "spiffe://fleet.example/stranger"


def ask(fleet: Fleet, robot: str, program: str, *arguments: str) -> str:
    """What a program of ``on_robot`` says there."""
    text = (ON_ROBOT / f"{program}.py").read_text()
    return fleet.ssh(robot, shlex.join(["python3", "-c", text, *arguments]))


def wait_for_readings(fleet: Fleet, seconds: float = 180) -> dict[str, dict[tuple[str, int], dict[str, t.Any]]]:
    """By store: what it holds of each instance; returned as soon as every store has something of every instance."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            held = readings(fleet)
        except RobotsError as error:
            held, trouble = {}, str(error)
        else:
            trouble = ", ".join(f"{STORES[store]}: {len(rows)} instances" for store, rows in held.items())
        if held and all(len(rows) >= INSTANCES for rows in held.values()):
            return held
        if time.monotonic() > deadline:
            raise DemoError(f"after {seconds:g} s not every instance is heard of in the data centre:\n{trouble}")
        time.sleep(1)


def readings(fleet: Fleet) -> dict[str, dict[tuple[str, int], dict[str, t.Any]]]:
    """By store: what it holds, by host and instance."""
    held = json.loads(ask(fleet, CENTRE, "held"))
    return {store: {(row["host"], row["instance"]): row for row in held[store]} for store in STORES}


def show_readings(held: dict[str, dict[tuple[str, int], dict[str, t.Any]]]) -> str:
    """One line for each instance."""
    rows = [
        [host, f"r{instance}", *(held[store].get((host, instance), {}).get("count", 0) for store in STORES)]
        for host, instance in sorted(set().union(*held.values()))
    ]
    return table("What the data centre holds of each instance", ["robot", "instance", *STORES.values()], rows)


def wait_for_refusals(fleet: Fleet, seconds: float = 120) -> None:
    """Until the access logs tell of everybody who knocked: Envoy writes them every few seconds."""
    deadline = time.monotonic() + seconds
    while True:
        seen = json.loads(ask(fleet, CENTRE, "look"))["callers"]
        refused = {(service, peer) for service, peer, what, _count in seen if what.startswith("refused")}
        if len(refused) >= 2 * len(STORES):
            return
        if time.monotonic() > deadline:
            raise DemoError(f"the access logs do not tell of everybody who knocked, but only of: {sorted(refused)}")
        time.sleep(1)


def look(fleet: Fleet) -> dict[str, dict[str, t.Any]]:
    """By robot: units, callers, last words."""
    names = fleet.names()
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, map(json.loads, pool.map(lambda name: ask(fleet, name, "look"), names))))


def show_words(seen: dict[str, dict[str, t.Any]]) -> str:
    """The last log line of each task."""
    rows = []
    for robot, sight in seen.items():
        names = {unit["Id"]: unit["Description"] for unit in sight["units"]}
        rows += sorted([robot, names.get(unit, unit), words[:96]] for unit, words in sight["words"].items())
    return table("The last words of each task", ["robot", "task", "said"], rows)


def show_callers(seen: dict[str, dict[str, t.Any]]) -> str:
    """Who came to each inbound Envoy, as its access log tells it."""
    rows = [
        [service.removeprefix("service-"), peer, what, count] for sight in seen.values() for service, peer, what, count in sight["callers"]
    ]
    return table("Who each inbound Envoy saw (access logs in the journal)", ["service", "peer", "what", "count"], sorted(rows))


def show_units(seen: dict[str, dict[str, t.Any]]) -> str:
    """Slices and services with the limits that the kernel holds."""
    rows = []
    for robot, sight in seen.items():
        for unit in sorted(sight["units"], key=lambda unit: (unit["Description"], unit["Id"])):
            if unit["ControlGroup"] and unit["SubState"] != "dead":
                limits = [mebibytes(unit["memory"]), mebibytes(unit["used"]), cores(unit["cpu"]), unit["pids"] or "-"]
                kind = "slice" if unit["Id"].endswith(".slice") else "service"
                rows.append([robot, kind, unit["Description"], unit["SubState"], unit.get("NRestarts", "-"), *limits])
    header = ["robot", "unit", "what", "state", "restarts", "memory limit", "used", "CPU limit", "pids"]
    return table("Slices and services, with limits read from their control groups", header, rows)


def knocks(fleet: Fleet) -> str:
    """Two who are not allowed in: one without a certificate, one with a good certificate of another identity."""
    ports = {"postgresql": "15432", "api": "18080", "telemetry": "19090"}
    rows = [
        [service, "nobody, no certificate", "work1", ask(fleet, "work1", "knock", CENTRE, port).strip()] for service, port in ports.items()
    ]
    server = "/opt/k8s4r/bin/spire-server x509 mint -socketPath /run/spire/server/api.sock"
    fleet.ssh(CENTRE, f"install -d -m 0700 /run/stranger && {server} -spiffeID {STRANGER} -ttl 5m -write /run/stranger")
    try:
        identity = ("/run/stranger/svid.pem", "/run/stranger/key.pem")
        for service, port in ports.items():
            rows.append([service, STRANGER, CENTRE, ask(fleet, CENTRE, "knock", CENTRE, port, *identity).strip()])
    finally:
        fleet.ssh(CENTRE, "rm -r /run/stranger")
    let_in = [row for row in rows if not row[-1].startswith("refused")]
    if let_in:
        raise DemoError(f"somebody was let in who must not be: {let_in}")
    return table("Who knocked and was not let in", ["service", "who", "from", "what became of it"], sorted(rows))
