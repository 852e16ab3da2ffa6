# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every golden case is accepted by the real systemd-analyze, with nothing said, and by the real Envoy."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.system import own
from tests import golden
from tests.integration.engine.harness import Machine
from tests.robots import identity


def plans() -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Each group of each case, and a name for it that is a file's, too."""
    for name in golden.names():
        for robot, compiled in golden.compile_case(name).items():
            for number, group in enumerate(golden.groups(compiled)):
                yield f"{name}.{robot}.{number}", group


def deliver(machine: Machine, files: t.Mapping[str, str]) -> None:
    """Files by their paths below /run/golden, which holds nothing else then: all at once, since each call costs a round trip."""
    packed = identity.as_tar({path: (0o644, content.encode()) for path, content in files.items()})
    done = machine.execute("rm -rf /run/golden && mkdir /run/golden && tar -xmC /run/golden", packed)
    assert done.status == 0, done


def said(machine: Machine, commands: t.Mapping[str, str]) -> dict[str, list[str]]:
    """What each command says, run in the directory that has its name; an exit status that is not 0 is said, too."""
    lines = [f"cd /run/golden/{name} && {{ {command}; }} >said 2>&1 || echo exit status $? >>said" for name, command in commands.items()]
    machine.sh("\n".join(lines))
    read = "import json, pathlib; print(json.dumps({p.parent.name: p.read_text() for p in pathlib.Path('/run/golden').glob('*/said')}))"
    found = json.loads(machine.sh(f"python3 -c {shlex.quote(read)}"))
    assert found.keys() == commands.keys()
    return {name: text.splitlines() for name, text in found.items()}


def test_units_are_verified_in_silence(machine):
    units = {name: [resource for resource in group["resources"] if resource["kind"] == "unit"] for name, group in plans()}
    files = {f"{name}/{unit['name']}": unit["content"] for name, members in units.items() for unit in members}
    deliver(machine, {**files, **{f"{name}/{own.HOLDER}": own.HOLDER_UNIT for name in units}})
    verify = "SYSTEMD_LOG_LEVEL=warning systemd-analyze verify ./k8s4r-*"
    complaints = {
        # Programs of the cases are not on the robot: what is verified is the unit. Some versions end with 1 for that.
        name: [line for line in lines if not re.search(r"is not executable|User lookup|^exit status 1$", line)]
        for name, lines in said(machine, dict.fromkeys(units, verify)).items()
    }
    assert {name: lines for name, lines in complaints.items() if lines} == {}


def test_envoy_accepts_its_configuration(envoy):
    checks = {name: check for name, group in plans() for check in group["checks"]}
    assert len(checks) > 10
    deliver(envoy, {f"{name}/{file}": content for name, check in checks.items() for file, content in check["files"].items()})
    commands = {
        name: shlex.join(argument.replace("{dir}", ".").replace("error", "warning") for argument in check["argv"])
        for name, check in checks.items()
    }
    found = said(envoy, commands)
    assert {
        name: lines for name, lines in found.items() if any("exit status" in line or "deprecated" in line.lower() for line in lines)
    } == {}
