# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every action of this collection has in common: typed arguments, readable errors, and calls to the engine.

It takes over from Ansible's module machinery what a low-level exec goes without: the interpreter, `environment:`, and
the scrubbing of secrets.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from . import deadline, packing
from .exec import Caller, Outcome, RobotProblem
from .key import KeyProblem

# The first call of a task opens the connection and may carry the engine and a plan; any other is short. A lost link
# is noticed within the time of two short calls.
FIRST_CALL, NEXT_CALL = 25, 8
INTERVAL = 0.2

# Ansible imports an action before it forks a worker for each robot: read here, the engine is read once per run.
packing.engine()


@contextlib.contextmanager
def _in_time(seconds: float) -> t.Iterator[None]:
    try:
        with deadline.limit(seconds):
            yield
    except deadline.Elapsed:
        raise AnsibleConnectionFailure(f"the robot gave no answer within {seconds} seconds") from None


class Fault(Exception):
    """The action cannot go on; the text is all that a person needs."""


class Action(ActionBase):
    """An action that needs no connection. A subclass declares its arguments and does its work in `act`."""

    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {}
    FAULTS: t.ClassVar[tuple[type[Exception], ...]] = (Fault, KeyProblem, RobotProblem)
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _specification, arguments = self.validate_argument_spec(self.ARGUMENTS)
        try:
            result.update(self.act(arguments, task_vars or {}))
        except self.FAULTS as fault:
            # Without its cause: what a person needs stands in the message, and a cause could quote a value.
            raise AnsibleActionFail(str(fault)) from None
        return result

    def act(self, arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        raise NotImplementedError


def registered(variables: t.Mapping[str, t.Any], name: str) -> t.Mapping[str, t.Any]:
    """The result of an earlier action of the run, by the name that its task has to register it under. Raises `Fault`."""
    if name not in variables:
        raise Fault(f"there is no variable {name}: a task of {name.removeprefix('k8s4r_')}, registered under this name, goes before")
    return variables[name]


def _silent(_text: str) -> None:
    """Progress that nobody asked for."""


class RobotAction(Action):
    """An action that talks to the engine of its robot."""

    # Whether a robot that has no engine yet keeps the one that is sent; never in check mode.
    KEEPS_ENGINE: t.ClassVar[bool] = True
    _requires_connection = True
    _called = False

    def call(self, request: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """One round trip. Raises `AnsibleConnectionFailure` when no answer comes in time."""
        with _in_time(NEXT_CALL if self._called else FIRST_CALL):
            answer = self._caller(variables).call(request, check=self._task.check_mode or not self.KEEPS_ENGINE)
        self._called = True
        return answer

    def ask_again(self, request: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """As `call`, for a question that may be asked twice: a connection that was lost is opened anew, once."""
        try:
            return self.call(request, variables)
        except AnsibleConnectionFailure:
            with _in_time(NEXT_CALL):
                self._connection.reset()
            return self.call(request, variables)

    def until_done(
        self, answer: dict[str, t.Any], variables: t.Mapping[str, t.Any], seconds: float, show: t.Callable[[str], None] = _silent
    ) -> dict[str, t.Any]:
        """Look on while the robot works on its own, at most `seconds`; `show` is given each new word of its progress."""
        end, shown = time.monotonic() + seconds, ""
        while answer["status"] == "pending":
            if time.monotonic() > end:
                raise Fault(f"the robot has not ended after {seconds:g} seconds; it goes on by itself, run again later")
            progress = str(answer.get("progress") or "")
            if progress not in ("", shown):
                show(progress)
                shown = progress
            time.sleep(INTERVAL)
            answer = self.ask_again({"op": "poll", "release": answer["release"]}, variables)
        answer.pop("op", None)
        return answer

    def demand(self, request: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """As `call`, where anything but an answer is an error."""
        answer = self.call(request, variables)
        if answer.get("status") != "ok":
            raise Fault("\n".join(map(str, answer.get("errors") or ["the robot gave no reason"])))
        return answer

    def _caller(self, variables: t.Mapping[str, t.Any]) -> Caller:
        configured = C.config.get_config_value("INTERPRETER_PYTHON", variables=dict(variables))
        interpreter = str(self._templar.template(configured) or "auto")
        return Caller(
            self._execute,
            interpreter=None if interpreter.startswith("auto") else interpreter,
            environment=self._compute_environment_string(),
        )

    def _execute(self, command: str, content: bytes) -> Outcome:
        done = self._low_level_execute_command(command, in_data=content)
        return Outcome(done["rc"], done["stdout"], done["stderr"])
