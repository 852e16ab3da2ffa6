# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every action of this collection has in common: typed arguments, readable errors, and calls to the engine.

A low-level exec does without Ansible's module machinery, so this does in its place what the machinery would do: find the
interpreter, and set the task's `environment:`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..home.capabilities import OddCapabilities
from ..home.key import KeyProblem
from ..job.errors import quoted
from ..transport import deadline, packing
from ..transport.exec import Caller, Outcome, RobotProblem
from .failures import Unreachable, failed

Variables = t.Mapping[str, t.Any]
Result = dict[str, t.Any]

# Seconds. For so long a robot works without a word, and afterwards it says at most once in this time what it is doing.
SILENT = 5
# Seconds, for work that a robot says it is getting on with.
LONGEST = 24 * 3600
# Seconds. The first call of a task opens the connection; any other is short, for the engine answers within 4. A lost link is noticed
# within the time of two short calls. A robot that once took longer is busy or slow: it may take as much longer again, and more. So may one
# that never answered at once: what it took at least comes before those 4 seconds, and after them.
FIRST_CALL, NEXT_CALL = 25, 8
ANSWER_WITHIN, MORE = 4, 3
# Bytes per second of the slowest link, and robot, that is waited for when a call carries the engine or a plan.
SLOWEST = 4096
INTERVAL = 0.2
# Seconds. Ansible's own `timeout`, for which the times above are made; and how long its ssh waits at most before it tries again.
USUAL_TIMEOUT, LONGEST_PAUSE = 10, 30

# Ansible imports an action before it forks a worker for each robot: read here, the engine is read once per run, and all workers know
# when the run began.
packing.engine()
BEGAN = time.time()


@contextlib.contextmanager
def in_time(seconds: float) -> t.Iterator[None]:
    """Raises `AnsibleConnectionFailure` where the body gets no answer in time."""
    try:
        with deadline.limit(seconds):
            yield
    except deadline.Elapsed:
        raise AnsibleConnectionFailure(f"the robot gave no answer within {seconds:.0f} seconds") from None


class ActionProblem(Exception):
    """The action cannot go on; the text tells a person why and what to do."""


class Action(ActionBase):
    """An action that needs no connection.

    A subclass declares its `ARGUMENTS` as a module does, and does its work in `act`. `PROBLEMS` are the exceptions whose text is
    the error that the user sees. `OF_RUN` is said beside the name of the robot for which Ansible counts the error, where it is none of that
    robot.
    """

    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {}
    PROBLEMS: t.ClassVar[tuple[type[Exception], ...]] = (ActionProblem, KeyProblem, OddCapabilities, RobotProblem)
    OF_RUN: t.ClassVar[str] = ""
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        wrong = misread(self._task.args, self.ARGUMENTS)
        if wrong:
            raise failed("\n".join(wrong), of_run=self.OF_RUN)
        _specification, arguments = ActionBase.validate_argument_spec(self, self.ARGUMENTS)
        try:
            result.update(self.act(arguments, task_vars or {}))
        except self.PROBLEMS as problem:
            # Without the cause: the message has all that a person needs, and a cause could quote a secret.
            raise failed(str(problem), of_run=self.OF_RUN) from None
        except AnsibleConnectionFailure as lost:
            raise Unreachable(str(lost)) from None
        if result.get("failed"):
            raise failed(str(result.pop("msg", "")), result)
        return result

    def act(self, arguments: Variables, variables: Variables) -> Result:
        """The result of the task, from its arguments and variables; raises one of `PROBLEMS`."""
        raise NotImplementedError

    def connection_to(self, host: str, variables: Variables) -> str:
        """The connection plugin that reaches a host, by its name: the inventory's choice, else the play's or the command line's."""
        known = variables["hostvars"].raw_get(host)
        return str(self._templar.template(known.get("ansible_connection") or self._task.connection))

    def on_this_link(self, seconds: float) -> float:
        """Seconds that a call may take by this connection if it usually takes at most so many.

        Whoever knows a link to be bad sets two options of Ansible's ssh: `timeout`, to wait longer for a connection, and `retries`, to open
        another one when one breaks.
        """
        seconds += max(0, self._option_of_connection("timeout") - USUAL_TIMEOUT)
        retries = self._option_of_connection("reconnection_retries")
        # As in ansible.plugins.connection.ssh.
        pauses = [min((1 << tried) - 1, LONGEST_PAUSE) for tried in range(retries)]
        return seconds * (1 + retries) + sum(pauses)

    def _option_of_connection(self, name: str) -> int:
        """A number; 0 where this connection plugin has no such option."""
        return int(self._connection.get_option(name) or 0) if self._connection.has_option(name) else 0

    def shell(self, command: str, content: bytes | None = None) -> Outcome:
        """Run a shell command on the task's host, with `content` as its standard input."""
        done = ActionBase._low_level_execute_command(self, command, in_data=content)
        return Outcome(done["rc"], done["stdout"], done["stderr"])


def misread(given: Variables, specification: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with options that are not a number, or neither true nor false, all at once: Ansible names Python types, and one
    option. They come from the command line, where anything may be written.
    """
    found = []
    for name, option in specification.items():
        value, expected = given.get(name), _EXPECTED.get(option.get("type", ""))
        if value is not None and expected and not expected.read(value):
            found.append(f"{name}: found {quoted(str(value))}: expected {expected.called}")
    return found


def _is_number(value: t.Any) -> bool:
    return isinstance(value, int) or str(value).strip().isdecimal()


def _is_truth(value: t.Any) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


class _Expected(t.NamedTuple):
    read: t.Callable[[t.Any], bool]
    called: str


_EXPECTED = {
    "int": _Expected(_is_number, "a whole number, such as 600"),
    "bool": _Expected(_is_truth, "true or false"),
}


def registered(variables: Variables, name: str, action: str) -> Variables:
    """The result of an earlier action of the run, which its task registered as `name`. Raises `ActionProblem` where there is none."""
    if name not in variables:
        raise ActionProblem(f"there is no variable {name}: first run k8s4r.robot.{action} with `register: {name}`")
    result: Variables = variables[name]
    if not isinstance(result, t.Mapping):
        raise ActionProblem(f"the variable {name} is not the result of k8s4r.robot.{action}, but {quoted(str(result))}")
    return result


def _ignore(_text: str) -> None:
    """Progress that is not shown."""


class RobotAction(Action):
    """An action that talks to the engine of its robot."""

    # Whether a robot that has no engine yet keeps the one that is sent; never in check mode.
    KEEPS_ENGINE: bool = True
    _requires_connection = True
    # Seconds, of all calls.
    _slowest, _quickest = 0.0, math.inf

    def call(self, request: Variables, variables: Variables, longer: float = 0.0, part: bytes = b"", slowest: float = SLOWEST) -> Result:
        """One round trip, with a part of a file behind the request. Raises `AnsibleConnectionFailure` when no answer comes in time, which
        may be `longer` seconds more than usual, and as much more as it takes to send at `slowest` bytes a second.
        """
        check = bool(self._task.check_mode) or not self.KEEPS_ENGINE
        return self._caller(variables, longer, slowest).call(request, check, part)

    def _execute(self, command: str, content: bytes, longer: float = 0.0, slowest: float = SLOWEST) -> Outcome:
        """A shell command on the robot. How long it may take grows with what is sent, and by `longer` seconds."""
        began, sending = time.monotonic(), len(content) / slowest
        with in_time(self.on_this_link(self._patience() + longer + sending)):
            outcome = self.shell(command, content)
        # How much of it the link took, nobody knows. Of a call that ended soon it is held to be nothing: a slow robot is more likely than
        # such a link, and one that is held to be quick is given up before it has answered.
        took = time.monotonic() - began
        took = took if took <= FIRST_CALL else max(0.0, took - sending)
        self._slowest, self._quickest = max(self._slowest, took), min(self._quickest, took)
        return outcome

    def _patience(self) -> float:
        """Seconds that a call may take, by what calls have taken."""
        if math.isinf(self._quickest):
            return FIRST_CALL
        return max(NEXT_CALL + MORE * max(0.0, self._slowest - ANSWER_WITHIN), ANSWER_WITHIN + MORE * self._quickest)

    def ask_again(self, request: Variables, variables: Variables, part: bytes = b"", slowest: float = SLOWEST) -> Result:
        """Like `call`, for a question that may be asked twice: a lost connection is opened again, once."""
        try:
            return self.call(request, variables, part=part, slowest=slowest)
        except AnsibleConnectionFailure:
            with in_time(NEXT_CALL):
                self._connection.reset()
            return self.call(request, variables, part=part, slowest=slowest)

    def until_done(
        self, answer: Result, variables: Variables, seconds: float, show: t.Callable[[str], None] = _ignore, patient: bool = False
    ) -> Result:
        """Wait at most `seconds` while the robot works on its own; if that takes long, `show` is called now and then with its progress.

        `patient`: wait for so long again whenever it has got on, since a download may take hours; but no longer than a day, so that one
        robot does not keep the others for ever.
        """
        began = moved = time.monotonic()
        told, shown, last = began, "", ""
        while answer["status"] == "pending":
            now = time.monotonic()
            if now > moved + seconds:
                raise ActionProblem(
                    f"the robot has not finished after {now - began:.0f} s; it continues on its own; run again later to see the result"
                )
            progress = str(answer.get("progress") or "")
            if patient and progress != last and now < began + LONGEST:
                moved, last = now, progress
            if progress not in ("", shown) and now > told + SILENT:
                show(f"{progress} ({now - began:.0f} s)")
                told, shown = now, progress
            time.sleep(INTERVAL)
            answer = self.ask_again({"op": "poll", "release": answer["release"]}, variables)
        answer.pop("op", None)
        return answer

    def demand(self, request: Variables, variables: Variables) -> Result:
        """Like `call`, where a refusal is an error of this task."""
        answer = self.call(request, variables)
        if answer.get("status") != "ok":
            raise ActionProblem("\n".join(map(str, answer.get("errors") or ["the robot gave no reason"])))
        return answer

    def _caller(self, variables: Variables, longer: float, slowest: float) -> Caller:
        configured = C.config.get_config_value("INTERPRETER_PYTHON", variables=dict(variables))
        interpreter = str(self._templar.template(configured) or "auto")
        return Caller(
            functools.partial(self._execute, longer=longer, slowest=slowest),
            interpreter=None if interpreter.startswith("auto") else interpreter,
            environment=ActionBase._compute_environment_string(self),
        )
