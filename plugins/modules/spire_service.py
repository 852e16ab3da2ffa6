#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the files of a SPIRE component, and its unit, running with them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_service
short_description: Write the files of a SPIRE component and run its unit with them
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Writes the files, each in one step, and none of them before the program itself found a new configuration valid together with the
    others. Enables the unit, and starts it, or restarts it if it runs with another configuration, unit or program than what is
    installed, or if another file that O(started) names has changed. Then waits until the component says that it is healthy.
  - What a run that was cut off left undone, the next one does, because what a unit runs with is not remembered but compared.
options:
  unit:
    description: The name of the unit.
    type: str
    required: true
  program:
    description: Absolute path of the program, which has the commands C(validate) and C(healthcheck).
    type: path
    required: true
  configuration:
    description: Which of O(files) is the configuration.
    type: path
    required: true
  started:
    description: Absolute path of the digests of what the unit started with, in the format of C(sha256sum), which the unit writes.
    type: path
    required: true
  socket:
    description: Absolute path of the socket that the health check asks.
    type: path
    required: true
  files:
    description: The files, root's, in the order in which they are written.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path. Its directory must exist.
        type: path
        required: true
      content:
        description: The text.
        type: str
        required: true
      group:
        description: The group that may read it.
        type: str
        default: root
      mode:
        description: Its mode, as an octal number in quotes.
        type: str
        default: "0644"
  exchange:
    description:
      - Absolute paths of what the component attests with, and of what it keeps of that, in the order in which they change hands. What
        is to be there next is beside it, with C(.next) behind its name; where nothing is, nothing is to be there.
    type: list
    elements: path
    default: []
  anew:
    description:
      - Whether the files of O(exchange) change hands now, while the unit is down. The old ones stay beside the new ones, with
        C(.former) behind their names, until the component is healthy. If it does not become healthy, they come back, and the unit
        runs with them again.
    type: bool
    default: false
  program_changes:
    description: Whether a check has found that another program would be installed. Only a check looks at it.
    type: bool
    default: false
  ready_seconds:
    description: How many seconds to wait until it is healthy.
    type: int
    default: 60
  failure:
    description: What to say if it is not, without a full stop. The last lines of its log follow.
    type: str
    required: true
attributes:
  check_mode:
    description: Reports what would be written and whether the unit would be started again.
    support: full
  diff_mode:
    description: Shows the files.
    support: full
"""

EXAMPLES = r"""
- name: Run the SPIRE agent
  k8s4r.robot.spire_service:
    unit: spire-agent.service
    program: /opt/k8s4r/bin/spire-agent
    configuration: /etc/spire/agent/agent.conf
    started: /run/spire/agent/started.sha256
    socket: /run/spire/sockets/agent.sock
    failure: The SPIRE agent has no identity
    files:
      - path: /etc/spire/agent/agent.conf
        content: "{{ configuration | to_json }}"
        group: spire-agent
        mode: "0640"
      - path: /etc/systemd/system/spire-agent.service
        content: "{{ lookup('ansible.builtin.template', 'spire-agent.service.j2') }}"
"""

RETURN = r"""
written:
  description: The files that were written, or would be in check mode.
  type: list
  elements: str
  returned: success
unit:
  description: What was done to the unit, or would be in check mode.
  type: list
  elements: str
  choices: [enabled, started, restarted]
  returned: success
"""

import json
import os
import tempfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.exchange import Exchange
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.files import FileError, Wanted, octal, options, owned, read, write
from ansible_collections.k8s4r.robot.plugins.module_utils._provision.release import sha256

UNITS = "/etc/systemd/system/"
LOG_LINES = 10


class UnitError(Exception):
    """systemd did not do what it was told. The text is for the user."""


class Service:
    """The unit, its program and its files."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.parameters: t.Mapping[str, t.Any] = module.params
        self.unit: str = module.params["unit"]
        self.exchange = Exchange(module.params["exchange"])
        self.begun = False

    def call(self, *words: str) -> str:
        """Run a command that must end well. Return its output."""
        rc, out, err = self.module.run_command(list(words))
        if rc != 0:
            raise UnitError(f"{' '.join(words[:2])} failed: {(err or out).strip()}")
        return str(out)

    def write(self) -> t.List[t.Dict[str, str]]:
        """Write the files that are not as they must be. Return the differences."""
        wanted, differences = [], []
        for file in self.parameters["files"]:
            path, content, group, mode = file["path"], file["content"], file["group"], octal(file["mode"])
            before = read(path)
            if before != content or not owned(path, group, mode):
                wanted.append(Wanted(path, content, group, mode))
                differences.append({"before_header": path, "after_header": path, "before": before or "", "after": content})
        if not self.module.check_mode:
            write(self.module, wanted, self.validate)
        return differences

    def validate(self, beside: t.Mapping[str, str]) -> None:
        """Ask the program whether it takes a new configuration, with all that is new; ``beside``: where that is, by its paths."""
        configuration = self.parameters["configuration"]
        if configuration not in beside:
            return
        text = read(beside[configuration]) or ""
        for path, temporary in beside.items():
            text = text.replace(json.dumps(path), json.dumps(temporary))
        with tempfile.NamedTemporaryFile("w", prefix="configuration-", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            rc, out, err = self.module.run_command([self.parameters["program"], "validate", "-config", file.name])
        if rc != 0:
            reason = (err or out).strip().replace(file.name, configuration)
            for path, temporary in beside.items():
                reason = reason.replace(temporary, path)
            raise FileError(f"{self.parameters['program']} refuses its configuration, which was not written: {reason}")

    def stale(self, written: t.Sequence[str]) -> bool:
        """Return whether the unit runs with anything else than what is installed, or has not said with what."""
        if self.module.check_mode and (self.parameters["program_changes"] or any(map(self.starts_with, written))):
            return True
        # As sha256sum writes it, which takes three times as long to compare.
        known = [line.split("  ", 1) for line in (read(self.parameters["started"]) or "").splitlines()]
        return not known or not all(os.path.exists(path) and sha256(path) == digest for digest, path in known)

    def starts_with(self, path: str) -> bool:
        """Return whether the unit must start again for what is new in this file."""
        return path == self.parameters["configuration"] or path.startswith(UNITS)

    def run(self, written: t.Sequence[str]) -> t.List[str]:
        """Enable the unit and start it, again if it runs with something else. Return what was done."""
        shown = self.call("systemctl", "show", "--property=UnitFileState,ActiveState,NeedDaemonReload", self.unit)
        state = dict(line.partition("=")[::2] for line in shown.splitlines())
        done = [] if state["UnitFileState"] == "enabled" else ["enabled"]
        if self.parameters["anew"] or self.stale(written):
            done.append("restarted")
        elif state["ActiveState"] not in ("active", "activating", "reloading"):
            done.append("started")
        if self.module.check_mode:
            return done
        if state["NeedDaemonReload"] == "yes" or any(path.startswith(UNITS) for path in written):
            self.call("systemctl", "daemon-reload")
        if self.parameters["anew"]:
            self.call("systemctl", "stop", self.unit)
            self.begun = True
            self.exchange.begin()
        for word, verb in (("enabled", "enable"), ("restarted", "restart"), ("started", "start")):
            if word in done:
                self.call("systemctl", verb, self.unit)
        return done

    def go_back(self) -> str:
        """Have the unit run with what it had before this run exchanged it. Return what to say of that."""
        if not self.begun:
            return ""
        try:
            self.call("systemctl", "stop", self.unit)
            self.exchange.go_back()
            self.call("systemctl", "start", self.unit)
        except (UnitError, OSError) as error:
            return f"\n{self.unit} does not run again with the key and the identity that it had before: {error}"
        return f"\n{self.unit} runs again with the key and the identity that it had before"

    def wait(self) -> bool:
        """Wait until the component is healthy. Return whether it is."""
        end = time.monotonic() + self.parameters["ready_seconds"]
        pause = 0.1
        while self.module.run_command([self.parameters["program"], "healthcheck", "-socketPath", self.parameters["socket"]])[0]:
            if time.monotonic() >= end:
                return False
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
        return True

    def log(self) -> str:
        """Return the last lines of the unit's log."""
        # What was written a moment ago may not be there yet.
        self.module.run_command(["journalctl", "--sync"])
        words = ["journalctl", "--no-pager", "--output=cat", f"--lines={LOG_LINES}", f"--unit={self.unit}"]
        return str(self.module.run_command(words)[1]).strip()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "program": {"type": "path", "required": True},
            "configuration": {"type": "path", "required": True},
            "started": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {**options("0644"), "content": {"type": "str", "required": True}},
            },
            "exchange": {"type": "list", "elements": "path", "default": []},
            "anew": {"type": "bool", "default": False},
            "program_changes": {"type": "bool", "default": False},
            "ready_seconds": {"type": "int", "default": 60},
            "failure": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    service = Service(module)
    failure = ""
    try:
        differences = service.write()
        written = [difference["after_header"] for difference in differences]
        done = service.run(written)
        if not module.check_mode and service.wait():
            service.exchange.finish()
        elif not module.check_mode:
            failure = f"{module.params['failure']}. The last lines of its log: {service.log()}"
    except (FileError, OSError) as error:
        failure = f"{service.unit}: {error}"
    except UnitError as error:
        failure = f"{service.unit}: {error}. The last lines of its log: {service.log()}"
    if failure:
        module.fail_json(msg=failure + service.go_back())
    module.exit_json(changed=bool(written or done), diff=differences, written=written, unit=done)


if __name__ == "__main__":
    main()
