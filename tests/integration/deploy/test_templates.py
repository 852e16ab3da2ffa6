# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of both dialects by the playbooks: what of the robot they know, what is said of a change and of a mistake, and to whom."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from tests.integration.deploy.test_secrets import CANARY, password, places, vaulted
from tests.integration.provision.harness import CHECKOUT

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
        "a\nlevel {{ level }}": ["line 2 of conf/app.j2: level is undefined (robot robot2)", "define it for the robot, or write a default"],
        "{{ token.nothing }}": ["line 1 of conf/app.j2: nothing is undefined"],
        "\n\n{{ token | int + token }}": ["line 3 of conf/app.j2: cannot be evaluated (TypeError)"],
        "{% if %}": ["line 1 of conf/app.j2: is not valid Jinja"],
        "{% include '/etc/passwd' %}": ["line 1 of conf/app.j2: a template cannot include another file"],
        "{{ lookup('file', '/etc/passwd') }}": ["lookup is undefined"],
        "{{ ''.__class__.__mro__ }}": ["line 1 of conf/app.j2"],
        "x\n{{ range ls \"a\" }}{{ end }}": ["line 2 of conf/app.j2: ls needs Consul"],
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
