# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canaries: a secret is in the plan and in its task's environment, and nowhere else."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.integration.deploy.harness import sleeper

pytestmark = pytest.mark.robots

CANARY = "canary-8c51d0"


@pytest.fixture
def password(tmp_path, monkeypatch):
    path = tmp_path / "password"
    path.write_text("x")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(path))


def vaulted(text: str) -> str:
    """A `!vault` value, as ansible-vault prints it."""
    program = pathlib.Path(sys.executable).with_name("ansible-vault")
    done = subprocess.run([program, "encrypt_string", "--stdin-name", "VALUE"], input=text, capture_output=True, text=True, check=True)
    return done.stdout.partition(":")[2].replace("\n  ", "\n              ")


def places(deployment, robot: str) -> list[str]:
    """Where on a robot the canary is found, but for the environment of its own task."""
    # Written so that the commands that look for it do not find themselves.
    pattern = f"{CANARY[:-1]}[{CANARY[-1]}]"
    rooms = "/etc /var/lib /var/log /run /tmp /root /opt /proc/[0-9]*/cmdline"
    found = deployment.sh(robot, f"grep -rls '{pattern}' {rooms} || true").split()
    return found + deployment.sh(robot, f"journalctl --no-pager -o export | grep -a '{pattern}' || true").splitlines()


@pytest.mark.usefixtures("password")
def test_a_vaulted_value_arrives_and_is_seen_nowhere_else(deployment, controller_home, tmp_path):
    job = sleeper(value=vaulted(CANARY))
    assert CANARY not in job
    outputs = [
        deployment.deploy(job, "--check", "--diff", "-vvv").well().output,
        deployment.deploy(job, "--diff", "-vvvv").well().output,
        deployment.deploy(job, "-vvv").well().output,
    ]
    assert deployment.value("robot1") == CANARY
    assert not [output for output in outputs if CANARY in output]
    found = places(deployment, "robot1")
    # The environment file, and the store of the release that holds it: root's alone.
    assert found
    for path in found:
        assert path.startswith(("/etc/k8s4r/groups/", "/var/lib/k8s4r/store/")), found
        assert deployment.sh("robot1", f"stat -c '%U %a' {path}").strip() == "root 600"
    for directory in (controller_home, tmp_path):
        assert not [path for path in directory.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize(
    ("secret", "script"),
    [
        (CANARY, "echo secret is $VALUE"),
        # A name that is replaced, a character that no terminal gets, and a line that is cut within the secret.
        (f"x-${{NOMAD_ALLOC_INDEX}}\t{CANARY}-{'x' * 80}", 'echo \\"$VALUE\\"; printf %0480d 0; echo \\"$VALUE\\"'),
    ],
    ids=["plain", "odd"],
)
def test_a_task_that_prints_its_secret_and_dies_does_not_show_it_in_the_run(deployment, secret, script):
    run = deployment.deploy(sleeper(value=vaulted(secret), script=f'"{script}; exit 3"'), "-vvv")
    run.refused("exit", "status 3", "********")
    assert CANARY not in run.output


@pytest.mark.usefixtures("password")
def test_a_file_that_is_vaulted_whole_is_read_and_its_values_are_secrets(deployment, tmp_path):
    path = tmp_path / "job.yml"
    path.write_text(sleeper(value=CANARY))
    subprocess.run([pathlib.Path(sys.executable).with_name("ansible-vault"), "encrypt", path], check=True, capture_output=True)
    run = deployment.run("k8s4r.robot.deploy_taskgroup", "--diff", "-vvv", job="job.yml").well()
    assert CANARY not in run.output
    assert deployment.value("robot2") == CANARY


def test_a_vault_without_its_password_is_one_clear_error(deployment):
    value = "!vault |\n              $ANSIBLE_VAULT;1.1;AES256\n              3132"
    deployment.deploy(sleeper(value=value)).refused("job.yml:", "taskGroups[0].tasks[0].env.VALUE", "no vault password was given")


def test_a_job_file_never_reaches_jinja(deployment, tmp_path):
    mark = tmp_path / "ran"
    expression = f"{{{{ lookup('ansible.builtin.pipe', 'touch {mark}') }}}}"
    deployment.deploy(sleeper(value=f'"{expression}"')).well()
    assert not mark.exists()
    assert deployment.value("robot1") == expression


def test_a_template_is_rendered_once_with_variables_of_the_run_alone(deployment):
    text = sleeper(value="\"{{ k8s4r_vars.greeting }} {{ who }} {{ inventory_hostname | default('nobody') }}\"")
    job = deployment.job(text, "hello.yml.j2")
    deployment.run("k8s4r.robot.deploy_taskgroup", job=job, who="anna", k8s4r_vars={"greeting": "hello"}).well()
    assert deployment.value("robot1") == deployment.value("robot2") == "hello anna nobody"
    deployment.run("k8s4r.robot.deploy_taskgroup", job=job).refused("hello.yml.j2:11: cannot be rendered", "greeting")
