# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of both dialects by the playbooks: what of the robot they know, what is said of a change and of a mistake, and to whom."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from tests.integration.deploy.test_secrets import CANARY, password, places, vaulted
from tests.integration.engine.harness import Machine
from tests.integration.provision.harness import CHECKOUT, Run

pytestmark = pytest.mark.robots
__all__ = ["password"]

SCRIPT = "trap 'cp $NOMAD_TASK_DIR/app.conf $NOMAD_TASK_DIR/heard' HUP; while :; do sleep 0.1; done"
JINJA = """# {{ inventory_hostname }}
{% for camera in cameras %}
camera {{ camera.name }} {{ camera.port | default(base_port) }}
{% endfor %}
token={{ token }} in {{ env.NOMAD_DC }} on {{ where }}
"""
GO = """{{- range $i, $name := env "NAMES" | split "," }}
{{ $i }} {{ $name | toUpper }}
{{- end }}
"""


def job(*templates: dict[str, t.Any]) -> str:
    program = {"command": "/bin/sh", "args": ["-c", SCRIPT]}
    task = {"name": "main", "config": {"execConfig": program}, "env": {"NAMES": "a,b"}, "templates": list(templates)}
    return yaml.safe_dump({"name": "web", "type": "system", "taskGroups": [{"name": "g", "tasks": [task]}]})


def inventory(path: pathlib.Path, secret: str, **robots: dict[str, t.Any]) -> tuple[str, str]:
    """Options that give robots variables, as a person's inventory has them; `token` is a vaulted one."""
    everywhere = {"base_port": "{{ 8000 + 1 }}", "where": "{{ inventory_hostname | upper }}"}
    text = yaml.safe_dump({"all": {"vars": everywhere, "hosts": robots}})
    path.write_text(text.replace("token: x", f"token: {secret}"), encoding="utf-8")
    return "-i", str(path)


SLEEPS = {"execConfig": {"command": "/bin/sleep", "args": ["infinity"]}}
CONF = {"destPath": "local/app.conf", "sourcePath": "conf/app.j2", "changeMode": "signal", "changeSignal": "SIGHUP"}
LIST = {"destPath": "secrets/list", "embeddedTmpl": GO, "perms": "0600"}


@pytest.mark.usefixtures("password")
def test_each_robot_gets_what_its_variables_make_of_a_template(deployment, controller_home, tmp_path):
    def robots(port: int) -> dict[str, t.Any]:
        return {
            "robot1": {"cameras": [{"name": "front", "port": port}, {"name": "rear"}], "token": "x"},
            "robot2": {"cameras": [], "token": "x"},
        }

    def found(robot: str, file: str) -> str:
        return deployment.sh(robot, f"cat /var/lib/k8s4r/tasks/web-g-*/local/{file}")

    secret = vaulted(CANARY)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/app.j2").write_text(JINJA, encoding="utf-8")
    given = inventory(tmp_path / "more.yml", secret, **robots(1))
    outputs = [deployment.deploy(job(CONF, LIST), *given, "--diff", "-vvv").well().output]
    end = f"token={CANARY} in dc1 on"
    assert found("robot1", "app.conf") == f"# robot1\ncamera front 1\ncamera rear 8001\n{end} ROBOT1\n"
    assert found("robot2", "app.conf") == f"# robot2\n{end} ROBOT2\n"
    for robot in ("robot1", "robot2"):
        assert deployment.sh(robot, "cat /run/k8s4r/secrets/web-g-*/filled/list") == "\n0 A\n1 B\n"
    again = deployment.deploy(job(CONF, LIST), *given).well()
    assert set(again.changed.values()) == {0}
    # What is another robot's changes nothing here.
    before = deployment.sh("robot1", "systemctl show -p MainPID --value 'k8s4r-task-web-g-*'")
    given = inventory(tmp_path / "more.yml", secret, **robots(2))
    checked = deployment.deploy(job(CONF, LIST), *given, "--check", "--diff", "-vvv").well()
    changed = deployment.deploy(job(CONF, LIST), *given, "--diff", "-vv").well()
    for run in (checked, changed):
        assert "robot1: g r0 main: signal SIGHUP (template local/app.conf)" in run.output
        assert "robot2: g" not in run.output
    outputs += [checked.output, changed.output]
    deployment.sh("robot1", "until grep -q 'front 2' /var/lib/k8s4r/tasks/web-g-*/local/heard; do sleep 0.1; done")
    deployment.sh("robot2", "! ls /var/lib/k8s4r/tasks/web-g-*/local/heard 2>/dev/null")
    assert deployment.sh("robot1", "systemctl show -p MainPID --value 'k8s4r-task-web-g-*'") == before
    assert "WRONG" not in deployment.run("k8s4r.robot.status", job_name="web").well().output
    # The file changes too, and that is a changed job.
    (tmp_path / "conf/app.j2").write_text(JINJA + "end\n", encoding="utf-8")
    deployment.deploy(job(CONF, LIST), *given).well()
    assert found("robot2", "app.conf").endswith("ROBOT2\nend\n")
    assert not [output for output in outputs if CANARY in output]
    for path in places(deployment, "robot1"):
        mine = deployment.sh("robot1", f"stat -c '%U %a' {path}").strip()
        assert mine == "root 600" or path.endswith(("local/app.conf", "local/heard")), (path, mine)
    for directory in (controller_home, tmp_path):
        assert not [path for path in directory.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.usefixtures("password")
def test_a_template_that_does_not_render_touches_nothing_and_says_where(deployment, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/app.j2").write_text("fine\n", encoding="utf-8")
    robots: dict[str, t.Any] = {"robot1": {"token": "x", "level": 3}, "robot2": {"token": "x"}}
    given = inventory(tmp_path / "more.yml", vaulted(CANARY), **robots)
    deployment.deploy(job(CONF, LIST), *given).well()
    before = deployment.footprint("robot1")
    mistakes = {
        "a\nlevel {{ level }}": ["line 2 of conf/app.j2: level is undefined (for robot2)", "define it for the robot, or write a default"],
        "{{ token.nothing }}": ["line 1 of conf/app.j2: nothing is undefined"],
        "\n\n{{ token | int + token }}": ["line 3 of conf/app.j2: cannot be evaluated (TypeError)"],
        "{% if %}": ["line 1 of conf/app.j2: is not valid Jinja"],
        "{% include '/etc/passwd' %}": ["line 1 of conf/app.j2: a template cannot include another file"],
        "{{ lookup('file', '/etc/passwd') }}": ["lookup is undefined"],
        "{{ ''.__class__.__mro__ }}": ["line 1 of conf/app.j2"],
        "x\n{{ range secrets \"a\" }}{{ end }}": ["line 2 of conf/app.j2: secrets needs Vault"],
        "{{ env \"X\" }}\n{% if level %}{% endif %}": ["line 1 of conf/app.j2: is consul-template's, and line 2 is Jinja's"],
        "{{ range $x := loop 3 }}": ["line 1 of conf/app.j2: range has no end"],
    }  # fmt: skip
    for text, said in mistakes.items():
        (tmp_path / "conf/app.j2").write_text(text, encoding="utf-8")
        run = deployment.deploy(job(CONF, LIST), *given, "-vvv")
        run.refused("taskGroups[0].tasks[0].templates[0].sourcePath", *said)
        assert CANARY not in run.output
    for name, said in (("conf/none", "No such file"), ("conf", "Is a directory")):
        deployment.deploy(job({**CONF, "sourcePath": name}), *given).refused("templates[0].sourcePath", said)
    assert deployment.footprint("robot1") == before
    # Without a robot that is asked, the syntax is looked at.
    (tmp_path / "conf/app.j2").write_text("{% if %}", encoding="utf-8")
    deployment.run("k8s4r.robot.validate", job=deployment.job(job(CONF))).refused("line 1 of conf/app.j2: is not valid Jinja")


def test_the_example_says_what_the_inventory_says(deployment):
    example = (CHECKOUT / "examples/settings.yml").read_text(encoding="utf-8")
    for word, variables in (("hello", {}), ("hi", {"greeting": "hi"})):
        deployment.deploy(example, **variables).well()
        said = f"This is robot1, and it says {word}."
        deployment.sh("robot1", f"until grep -qx '{said}' /var/lib/k8s4r/tasks/settings-*/logs/stdout.log; do sleep 0.1; done")
    assert deployment.sh("robot1", "systemctl show -p NRestarts --value 'k8s4r-task-settings-*'").strip() == "0"


SERVER = """
import os, socketserver

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(os.environ["NAME"].encode())

# A health check does not wait for the answer, and a run shows what a program that fails has printed.
socketserver.BaseServer.handle_error = lambda *_arguments: None
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("", int(os.environ["NOMAD_PORT_http"])), Handler).serve_forever()
"""
SERVERS = '{{ range nomadService "api" }}{{ .Address }} {{ .Port }}\n{{ end }}'
# Who answers at each of the places in the list of the task on robot1.
ASK = """
import glob, socket

(path,) = glob.glob("/var/lib/k8s4r/tasks/shop-watch-*/local/app.conf")
for line in open(path):
    host, port = line.split()
    with socket.create_connection((host, int(port)), 30) as connection:
        print(connection.recv(100).decode())
"""


def on(robots: str) -> list[dict[str, str]]:
    """The constraints of a group that is to be there alone."""
    return [{"lTarget": "${node.unique.name}", "operand": "regexp", "rTarget": f"^({robots})$"}]


def shop(robots: str, count: int, name: str = "api", program: str = SERVER) -> str:
    """A service whose port is chosen, and a task on robot1 that has a list of its instances."""
    serves = {
        "name": "app",
        "config": {"execConfig": {"command": "/usr/bin/python3", "args": ["-c", program]}},
        "env": {"NAME": "${node.unique.name} ${NOMAD_ALLOC_INDEX}"},
        "services": [
            {"name": "api", "portLabel": "http", "provider": "nomad", "checks": [{"name": "up", "type": "tcp", "interval": "1s"}]}
        ],
    }
    template = {**CONF, "embeddedTmpl": SERVERS.replace("api", name)}
    del template["sourcePath"]
    watches = {"name": "main", "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", SCRIPT]}}, "templates": [template]}
    groups = [
        {"name": "api", "count": count, "constraints": on(robots), "network": {"ports": [{"label": "http"}]}, "tasks": [serves]},
        {"name": "watch", "constraints": on("robot1"), "tasks": [watches]},
    ]
    return yaml.safe_dump({"name": "shop", "taskGroups": groups})


def test_a_template_has_the_instances_of_a_service_and_hears_of_it_when_they_move(deployment):
    """The list changes when what is new is ready, and before what is old goes; not at all where that fails."""

    def answered() -> list[str]:
        outcome = Machine(deployment.fleet, "robot1").execute("python3 -", ASK.encode())
        assert outcome.status == 0, outcome
        return sorted(outcome.stdout.splitlines())

    def started() -> str:
        return deployment.sh("robot1", "systemctl show -p InvocationID --value 'k8s4r-task-shop-watch-*'")

    deployment.deploy(shop("robot2", 1)).well()
    assert answered() == ["robot2 0"]
    before = started()
    grown = deployment.deploy(shop("robot1|robot2", 2)).well()
    assert [name.split()[0] for name in answered()] == ["robot1", "robot2"]
    told = grown.output.index("TASK [Tell those that call a service where it is now]")
    assert grown.output.index("TASK [Switch the robots]") < told
    assert "robot1: watch r0 main: signal SIGHUP (template local/app.conf)" in grown.output
    deployment.sh("robot1", "until [ $(wc -l < $(echo /var/lib/k8s4r/tasks/shop-watch-*/local/heard)) = 2 ]; do sleep 0.1; done")
    assert started() == before
    assert set(deployment.deploy(shop("robot1|robot2", 2)).well().changed.values()) == {0}
    known = deployment.sh("robot1", "cat /var/lib/k8s4r/tasks/shop-watch-*/local/app.conf")
    failed = deployment.deploy(shop("robot2", 1, program="raise SystemExit(3)"))
    assert failed.status == 2
    failed.refused("default/shop/watch keeps its endpoints of default/shop/api/api, because this run did not succeed on robot2")
    assert deployment.sh("robot1", "cat /var/lib/k8s4r/tasks/shop-watch-*/local/app.conf") == known
    deployment.deploy(shop("robot2", 1)).well()
    assert answered() == ["robot2 0"]
    assert started() == before
    listed = deployment.run("k8s4r.robot.services", job_name="shop").well().output
    (host, port) = deployment.sh("robot1", "cat /var/lib/k8s4r/tasks/shop-watch-*/local/app.conf").split()
    assert re.search(rf"^shop/api/api +robot2 +r0 +{re.escape(host)}:{port} +shop/watch$", listed, re.MULTILINE), listed
    footprint = deployment.footprint("robot1")
    wrong = deployment.deploy(shop("robot2", 1, name="apj"))
    wrong.refused(
        'line 1 of the template: no task of this run has the service "apj", nor has one that robots run',
        "did you mean api?",
        "tasks[0].templates[0].embeddedTmpl",
    )
    assert deployment.footprint("robot1") == footprint


def test_a_list_changes_although_another_one_waits_for_a_robot_that_is_not_reached(deployment):
    """Both are of one task, on a robot from which nothing moves away."""

    def deploy(late: str, ready: str, *arguments: str) -> Run:
        groups: list[dict[str, t.Any]] = []
        for port, (name, robots) in enumerate({"late": late, "ready": ready}.items(), 7001):
            serves = {"name": "app", "config": SLEEPS, "services": [{"name": name, "portLabel": "http"}]}
            network = {"ports": [{"label": "http", "static": port}]}
            groups.append({"name": name, "constraints": on(robots), "network": network, "tasks": [serves]})
        lists = [{"destPath": f"local/{name}", "embeddedTmpl": SERVERS.replace("api", name)} for name in ("late", "ready")]
        templates = [{**each, "changeMode": "noop"} for each in lists]
        groups.append({"name": "watch", "constraints": on("robot1"), "tasks": [{"name": "t", "config": SLEEPS, "templates": templates}]})
        return deployment.deploy(yaml.safe_dump({"name": "shop", "type": "system", "taskGroups": groups}), *arguments).well()

    def lengths() -> list[int]:
        """How many instances each list has."""
        return [
            int(deployment.sh("robot1", f"wc -l < $(echo /var/lib/k8s4r/tasks/shop-watch-*/local/{name})")) for name in ("late", "ready")
        ]

    deploy("robot1", "robot1|robot2")
    assert lengths() == [1, 2]
    aside = deploy("robot1|robot2", "robot1", "--limit", "robot1")
    assert lengths() == [1, 1]
    said = " ".join(aside.output.split())
    assert "keeps its endpoints of default/shop/late/late, because this run did not succeed on robot2" in said
    assert "keeps its endpoints of default/shop/ready" not in said
    deploy("robot1|robot2", "robot1")
    assert lengths() == [2, 1]
    assert set(deploy("robot1|robot2", "robot1").changed.values()) == {0}


def test_a_template_of_another_job_with_a_service_as_it_was_is_told_of(deployment):
    """It has secrets in it, perhaps, and only a run of its own job can render it."""

    def deploy(port: int, *others: str) -> str:
        network = {"ports": [{"label": "http", "static": port}]}
        serves = {"name": "app", "config": SLEEPS, "services": [{"name": "api", "portLabel": "http"}]}
        group = {"name": "api", "network": network, "tasks": [serves]}
        text = yaml.safe_dump({"name": "shop", "type": "system", "taskGroups": [group]})
        return deployment.run("k8s4r.robot.deploy_taskgroup", job=",".join([deployment.job(text, "shop.yml"), *others])).well().output

    template = {"destPath": "local/app.env", "env": True, "embeddedTmpl": f"SERVERS={SERVERS.replace(chr(10), ' ')}"}
    tasks = [{"name": "t", "config": SLEEPS, "templates": [template]}]
    front = yaml.safe_dump({"name": "front", "taskGroups": [{"name": "g", "tasks": tasks}]})
    other, old = deployment.job(front, "front.yml"), 'has a template with "default/shop/api/api" as it was'
    assert old not in deploy(7001, other)
    assert 'deploy the job "default/front" together with this one' in deploy(7002)
    # A run of its own job has it from what robots say.
    deployment.run("k8s4r.robot.deploy_taskgroup", job=other).well()
    environment = "find /etc/k8s4r/groups -path '*/front-*/env/*' -type f -exec cat {} +"
    assert "7002" in deployment.sh("robot1", environment) + deployment.sh("robot2", environment)
    assert old not in deploy(7002)
    listed = deployment.run("k8s4r.robot.services", job_name="shop").well().output
    assert re.search(r"^shop/api/api +robot1 .* front/g$", listed, re.MULTILINE), listed
    removed = deployment.remove(job="shop.yml").well().output
    assert 'has "default/shop/api/api" in a template, which this run takes away' in removed
