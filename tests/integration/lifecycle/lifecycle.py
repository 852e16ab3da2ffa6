# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lifecycle of a job with a network: from robots that have nothing of ours to robots that have nothing of it.

Its program ``ask`` on one robot calls ``answer`` on another by way of both groups' Envoys, and counts what comes back.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from tests.integration.deploy.harness import Deployment
from tests.integration.provision.harness import Run
from tests.robots.host import wait_for

COMPLAINT = re.compile("no identity|not ready")
ASK = """
import os, time, urllib.request
while True:
    try:
        print(os.environ["GREETING"], urllib.request.urlopen(os.environ["ANSWER_URL"]).status, flush=True)
    except OSError as error:
        print(error, flush=True)
    time.sleep(1)
"""


def _job(name: str, robot: str, program: list[str], network: dict[str, t.Any], **variables: str) -> dict[str, t.Any]:
    task = {
        "name": name,
        "config": {"execConfig": {"command": "/usr/bin/python3", "args": program}},
        "resources": {"cpu": "200m", "memory": "64Mi"},
        "env": variables,
    }
    place = [{"lTarget": "${node.unique.name}", "rTarget": robot}]
    return {"name": name, "taskGroups": [{"name": "web", "constraints": place, "network": network, "tasks": [task]}]}


class Lifecycle:
    """One lifecycle, step by step; each step is a run of Ansible that has ended well, and said what it must."""

    def __init__(self, deployment: Deployment, server: str, robot: str) -> None:
        self.deployment = deployment
        self.server = server
        self.robot = robot
        self.runs: list[Run] = []

    def jobs(self, greeting: str, program: str = ASK) -> str:
        """The two jobs, as one file of two documents."""
        service = {"name": "answer", "port": 18088, "to": "127.0.0.1:8088", "protocol": "http", "allow": [{"job": "ask", "group": "web"}]}
        upstream = {"name": "answer", "localPort": 9088, "upstream": f"{self.server}:18088", "protocol": "http"}
        answer = _job("answer", self.server, ["-m", "http.server", "--bind", "127.0.0.1", "8088"], {"services": [service]})
        ask = _job("ask", self.robot, ["-c", program], {"upstreams": [upstream]}, GREETING=greeting)
        return "\n---\n".join(map(json.dumps, (answer, ask)))

    def deploy(self, greeting: str, *arguments: str, program: str = ASK) -> Run:
        """A run with these jobs."""
        self.runs.append(self.deployment.deploy(self.jobs(greeting, program), *arguments))
        return self.runs[-1]

    def from_bare(self, seconds: float = 180) -> None:
        """What a bare robot lacks is provided, and the first answer arrives."""
        assert self.programs() == set()
        self.deploy("hello").well()
        assert self.programs() == {"envoy", "spire-agent"}, self.programs()
        self.heard("hello", seconds)

    def waits_for_identity(self) -> None:
        """A task that is restarted with its proxy waits until that has its identity, and goes when it comes."""
        # It does not wait for ever, and a machine may be so busy that Envoy takes longer: it says so then.
        wait_for(lambda: not COMPLAINT.search(self._without_identity_for_a_moment()), 120, "the proxy complains each time")

    def _without_identity_for_a_moment(self) -> str:
        """What the proxy said meanwhile."""
        sockets, since = "/run/spire/sockets", self.sh("date +%s").strip()
        mode = self.sh(f"stat -c %a {sockets}").strip()
        self.sh(f"chmod 0700 {sockets} && systemctl --no-block restart 'k8s4r-group-ask-*'")
        try:
            wait_for(lambda: "start-pre" in self.shown("proxy"), 60, "the proxy does not wait for its identity")
            assert "inactive" in self.shown("task")
        finally:
            self.sh(f"chmod {mode} {sockets}")
        wait_for(lambda: "running" in self.shown("task"), 60, "the task does not start")
        return self.sh(f"journalctl --sync; journalctl --since=@{since} --output=cat -u 'k8s4r-proxy-ask-*'")

    def listens_at_every_address(self) -> None:
        """Of both families, where the job names none."""
        assert " *:18088 " in self.deployment.sh(self.server, "ss -ltnH 'sport = :18088'")

    def shown(self, kind: str) -> str:
        """The states of the unit of the caller's proxy, or of its task."""
        return self.sh(f"systemctl show --property=ActiveState,SubState --value 'k8s4r-{kind}-ask-*'")

    def programs(self) -> set[str]:
        """What the robot has of ours to run."""
        return set(self.sh("find /opt -path '/opt/k8s4r/bin/*' ! -name '.*' -printf '%f '").split())

    def unchanged(self) -> None:
        """The same again does nothing; so does a check."""
        for arguments in ([], ["--check", "--diff"]):
            assert set(self.deploy("hello", *arguments).well().changed.values()) == {0}

    def change(self) -> None:
        """One variable of one task: a check foretells it, and nothing but that task restarts."""
        others = self.sh(OTHERS)
        check = self.deploy("welcome", "--check", "--diff").well()
        assert check.changed[self.robot] > 0
        assert self.deploy("welcome").well().changed == check.changed
        self.heard("welcome", 180)
        assert self.sh(OTHERS) == others

    def rollback(self) -> None:
        """A program that ends at once: the run fails, and what ran before runs again."""
        self.deploy("broken", program="raise SystemExit(3)").refused("the switch failed and was rolled back")
        self.heard("welcome", 180)

    def remove(self) -> None:
        """Nothing of either job is left on the robots, nor an identity of theirs on the server."""
        self.runs.append(self.deployment.remove(job="job.yml").well())
        for robot in (self.server, self.robot):
            assert "web" not in self.deployment.footprint(robot)
        entries = "/opt/k8s4r/bin/spire-server entry show -socketPath /run/spire/server/api.sock"
        assert "/group/web" not in self.deployment.sh(self.server, entries)

    def complaints(self) -> list[str]:
        """What Ansible warned of in any of the runs: what is deprecated today is an error tomorrow."""
        return [line for run in self.runs for line in run.output.splitlines() if "WARNING]" in line]

    def heard(self, greeting: str, seconds: float) -> None:
        """Wait for an answer that came after a change."""
        log = "/var/lib/k8s4r/tasks/ask-web-r0-ask-*/logs/stdout.log"
        said = f"tail -n +{1 + int(self.sh(f'cat {log} | wc -l'))} {log}"
        wait_for(lambda: f"{greeting} 200" in self.sh(said), seconds, f"no {greeting!r} was answered: {self.sh(said)}", pause=0.5)

    def sh(self, command: str) -> str:
        """What a command on the robot prints."""
        return self.deployment.sh(self.robot, command)


OTHERS = f"systemctl show --property=Id,InvocationID {shlex.quote('k8s4r-proxy-*')} {shlex.quote('spire-agent.service')}"
"""Every unit that a change of the task must leave alone, with what tells one start of it from another."""
