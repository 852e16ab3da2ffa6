# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments and environment arrive in a program byte for byte, on every systemd that we support."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.brings.drivers import ExecConfig, TaskConfig
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.group import TaskGroup
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.task import Task
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import Driver, JobType
from tests.integration.engine.harness import plans_for

# Says what it was given, in a form that no shell or terminal changes.
PROGRAM = """
import json, os, sys
hexed = lambda text: os.fsencode(text).hex()
said = [[hexed(argument) for argument in sys.argv[1:]], {hexed(name): hexed(value) for name, value in os.environ.items()}]
with open(os.environ["NOMAD_ALLOC_DIR"] + "/" + os.environ["NOMAD_TASK_NAME"], "w") as out:
    json.dump(said, out)
"""

# Everything that a YAML scalar can hold but NUL; surrogates are no text.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
HARD = st.sampled_from(
    ["", " ", "\n", "$HOME", "${HOME}", "%n%%", "\\", "'\"`", ";", "# x", "a\\\nb", "\x7f\x01", "{{ x }}", "\u202eabc", "-n", "=", "\ufeff"]
)


def job(arguments: list[str], environment: dict[str, str]) -> Job:
    config = TaskConfig(exec_config=ExecConfig("python3", ("-I", "-S", "-c", PROGRAM, *arguments)))
    tasks = tuple(Task(name=driver.value, driver=driver, config=config, env=environment) for driver in (Driver.EXEC, Driver.RAW_EXEC))
    return Job(name="bytes", type=JobType.BATCH, task_groups=(TaskGroup(name="g", tasks=tasks),), path="bytes.yml")


def arrived(machine, task: str) -> tuple[list[str], dict[str, str]]:
    # The switch is over when the program runs; this one is over when it has ended.
    machine.until("[ $(ls /var/lib/k8s4r/groups/bytes-g-*/done/* | wc -l) = 2 ]")
    arguments, environment = json.loads(machine.sh(f"cat /var/lib/k8s4r/groups/bytes-g-*/alloc/{task}"))
    decoded = {bytes.fromhex(name).decode(): bytes.fromhex(value).decode() for name, value in environment.items()}
    return [bytes.fromhex(argument).decode() for argument in arguments], decoded


def test_any_text_arrives_byte_for_byte(machine):
    @settings(max_examples=4, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(TEXT | HARD, min_size=40, max_size=60), st.lists(TEXT | HARD, min_size=40, max_size=60))
    def deliver(arguments, values):
        environment = {f"V{number}": value for number, value in enumerate(values)}
        result = machine.deploy(*plans_for(machine.name, [job(arguments, environment)]))
        assert result["status"] in ("committed", "recorded"), result
        for task in ("exec", "raw_exec"):
            found_arguments, found_environment = arrived(machine, task)
            assert found_arguments == arguments
            assert {name: found_environment.get(name) for name in environment} == environment

    deliver()
    if machine.name == "bullseye":
        # Process 1 of this one would spin, once in hundreds of deployments: see SURVIVES_EXEC in compile/systemd.py.
        machine.absent("grep -l Type=exec /etc/systemd/system/k8s4r-task-bytes-*")
