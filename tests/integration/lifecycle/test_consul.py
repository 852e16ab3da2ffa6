# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of tasks in a real Consul, Debian 11's: who asks it finds those that are well, and nobody who is about to stop."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.integration.compile.jobs import plans, without_groups
from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed

pytestmark = pytest.mark.robots

AGENT = {"server": True, "bootstrap_expect": 1, "data_dir": "/var/lib/consul", "bind_addr": "127.0.0.1"}
INSTALL = "(apt-get update && apt-get install -y --no-install-recommends consul) >/run/apt 2>&1 || (cat /run/apt; exit 1)"
PASSING = "http://127.0.0.1:8500/v1/health/service/web?passing"
# Takes itself out of Consul's answers before it ends: it writes down what these are when it is asked to.
SERVES = f"""
import http.server, os, signal, sys, urllib.request
def leave(*_):
    open(os.environ["NOMAD_ALLOC_DIR"] + "/left", "w").write(urllib.request.urlopen({PASSING!r}).read().decode())
    sys.exit()
signal.signal(signal.SIGTERM, leave)
http.server.HTTPServer(("", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture(scope="module")
def robot():
    with borrowed("consul", [RobotSpec("robot1", "bullseye")]) as fleet:
        machine = Machine(fleet, "robot1")
        machine.clean()
        yield machine


def job(count: int) -> dict[str, t.Any]:
    checks = [{"name": "up", "type": "http", "interval": "1s"}]
    task = {
        "name": "app",
        "config": {"execConfig": {"command": "/usr/bin/python3", "args": ["-c", SERVES, "${NOMAD_PORT_http}"]}},
        "services": [{"name": "web", "portLabel": "http", "provider": "consul", "tags": ["blue"], "checks": checks}],
    }
    network = {"type": "none", "ports": [{"label": "http"}]}
    return {"name": "shop", "taskGroups": [{"name": "api", "count": count, "network": network, "tasks": [task]}]}


def test_who_asks_consul_finds_what_is_well_and_nobody_who_is_about_to_stop(robot):
    """In turn: refused where there is no agent, two instances, one, none."""
    refused = robot.deploy(plans(robot, job(2))[0])
    assert refused["status"] == "refused", refused
    assert "no Consul agent runs on this robot (consul.service); install one and start it" in refused["errors"][0]

    robot.sh(INSTALL)
    robot.execute("cat > /etc/consul.d/server.json", json.dumps(AGENT).encode())
    robot.sh("systemctl restart consul")
    ports = f"print(*(each['Service']['Port'] for each in json.load(urllib.request.urlopen('{PASSING}'))))"
    found = f'python3 -c "import json, urllib.request; {ports}"'
    robot.until(f"{found} >/dev/null 2>&1")
    result = robot.deploy(plans(robot, job(2))[0])
    assert result["status"] == "committed", result
    robot.until(f"test $({found} | wc -w) = 2")
    before = robot.sh(found).split()

    result = robot.deploy(plans(robot, job(1))[0])
    assert result["status"] == "committed", result
    left = json.loads(robot.sh("cat $(find /var/lib/k8s4r/groups -name left)"))
    (stays,) = robot.sh(found).split()
    assert stays in before
    assert [str(each["Service"]["Port"]) for each in left] == [stays]
    assert robot.ask(plans(robot, job(1))[0]) == {"status": "unchanged"}

    result = robot.deploy(without_groups(plans(robot, job(1))[0]))
    assert result["status"] == "committed", result
    assert robot.sh(found).split() == []
    assert robot.sh("ls /etc/consul.d /etc/k8s4r | grep -c k8s4r- ; true").strip() == "0"
