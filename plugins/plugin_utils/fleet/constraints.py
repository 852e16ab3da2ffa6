# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a robot can run a group: selector, datacenters, constraints; each refusal with its reason."""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

from ..job.errors import JobErrors, Problem, did_you_mean, listed, nearest, quoted
from ..job.model.group import TaskGroup
from ..job.model.job import Job
from ..job.model.policies import Constraint
from ..job.model.vocabulary import Operand
from .robots import NODE, Robot

_NAME = re.compile(r"\$\{(attr|meta|node)\.([^}]+)\}")
# What was probably meant to be such a name.
_NEARLY = re.compile(r"\$?\{?((?:attr|meta|node)\.[A-Za-z0-9_.-]+)\}?")
_VERSION = re.compile("v?[0-9]")
_CLAUSE = re.compile(r"(=|!=|>=|<=|>|<)?\s*v?([0-9]+(?:\.[0-9]+)*)(?:[-+~].*)?")


class Refusal(t.NamedTuple):
    """A rule of a job that a robot does not meet, and what the robot is or has instead, as the words after "the robot"."""

    rule: str
    robot: str

    def __str__(self) -> str:
        return f"{self.rule}, but the robot {self.robot}"


class Fault(t.NamedTuple):
    """What is wrong with a constraint itself: the key that has it, what it is, and the way out."""

    key: str
    found: str
    remedy: str = ""


class UnknownAttribute(Exception):
    """`${attr.<name>}` has no value on this robot: neither the inventory nor a probe gave one."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


def resolve(target: str, robot: Robot) -> str | None:
    """What a constraint's target stands for on this robot; None where it names a label or node property that is not set.

    Raises `UnknownAttribute`.
    """
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        kind, name = match.groups()
        found: str | None
        if kind == "attr":
            if name not in robot.capabilities:
                raise UnknownAttribute(name)
            found = robot.capabilities[name]
        elif kind == "meta":
            found = robot.labels.get(name)
        else:
            found = robot.node.get(name)
        missing = missing or found is None
        return found or ""

    text = _NAME.sub(value, target)
    return None if missing else text


def refusals(job: Job, group: TaskGroup, path: str, robot: Robot) -> t.Iterator[Refusal]:
    """Every reason why `robot` cannot run `group`; it can if there is none. `path` is the group's in the job file.

    Raises `JobErrors` with all constraints that this robot's own values make invalid, and `UnknownAttribute`.
    """
    excluded = False
    for label, wanted in sorted(job.robot_selector.items()):
        if robot.labels.get(label) != wanted:
            excluded = True
            yield Refusal(f"robotSelector.{label} requires {wanted!r}", _has(robot.labels.get(label), "label", label, robot.labels))
    if job.datacenters and robot.datacenter not in job.datacenters:
        excluded = True
        yield Refusal(f"datacenters allows {', '.join(job.datacenters)}", f"is in {robot.datacenter!r}")
    if excluded:
        # Its values need not be known.
        return
    resolved = [
        (where, constraint, resolve(constraint.l_target, robot), resolve(constraint.r_target, robot))
        for where, constraint in constraints_of(job, group, path)
    ]
    wrong = [
        job.problem(f"{where}.rTarget", f"{robot.called}: {fault}", f"correct the robot's value of {constraint.r_target}")
        for where, constraint, _left, right in resolved
        if right is not None and right != constraint.r_target and (fault := _fault(constraint.operand, right))
    ]
    if wrong:
        raise JobErrors(wrong)
    for where, constraint, left, right in resolved:
        if not satisfied(left, constraint.operand, right):
            rule = f"{where} requires {constraint.l_target} {constraint.operand.value} {constraint.r_target}"
            yield Refusal(rule, f"has no value for {constraint.r_target}" if right is None else _has(left, "value"))


def _has(value: str | None, what: str, name: str = "", known: t.Iterable[str] = ()) -> str:
    if value is not None:
        return f"has {value!r}"
    close = nearest(name, known)
    return f"has no such {what}, but {close}" if close else f"has no such {what}"


def constraints_of(job: Job, group: TaskGroup, path: str) -> t.Iterator[tuple[str, Constraint]]:
    """The constraints that bind a group, each with its path: the job's, its own, its init tasks' and its tasks'."""
    for index, constraint in enumerate(job.constraints):
        yield f"constraints[{index}]", constraint
    for index, constraint in enumerate(group.constraints):
        yield f"{path}.constraints[{index}]", constraint
    for key, tasks in (("initTasks", group.init_tasks), ("tasks", group.tasks)):
        for number, task in enumerate(tasks):
            for index, constraint in enumerate(task.constraints):
                yield f"{path}.{key}[{number}].constraints[{index}]", constraint


def satisfied(left: str | None, operand: Operand, right: str | None) -> bool:
    """Whether the operand holds, as Nomad defines it; a value that is not set satisfies only `!=`."""
    if left is None or right is None:
        return operand is Operand.NOT_EQUAL and left != right
    if operand is Operand.EQUAL:
        return left == right
    if operand is Operand.NOT_EQUAL:
        return left != right
    if operand is Operand.REGEXP:
        return re.search(right, left) is not None
    if operand is Operand.SET_CONTAINS:
        have = {item.strip() for item in left.split(",")}
        return all(item.strip() in have for item in right.split(","))
    if operand is Operand.VERSION:
        return all(_version_holds(left, clause.strip()) for clause in right.split(","))
    return _compare(_ordered(left, right), operand)


def problems(job: Job, group: TaskGroup, path: str) -> c.Iterator[Problem]:
    """What is wrong with the constraints that bind a group, whatever the robot."""
    for where, constraint in constraints_of(job, group, path):
        for fault in check(constraint):
            yield job.problem(f"{where}.{fault.key}", fault.found, fault.remedy)


def check(constraint: Constraint) -> c.Iterator[Fault]:
    """What is wrong with the constraint itself, whatever the robot."""
    sides = {"lTarget": constraint.l_target, "rTarget": constraint.r_target}
    names = [(key, *match.groups()) for key, text in sides.items() for match in _NAME.finditer(text)]
    for key, kind, name in names:
        if kind == "node" and name not in NODE:
            remedy = did_you_mean(f"node.{name}", [f"node.{known}" for known in NODE])
            yield Fault(key, f"there is no ${{node.{name}}}", remedy or f"there are {listed([f'node.{known}' for known in NODE], 'and')}")
    if not names:
        # It would be true of every robot, or of none.
        found = f"found {quoted(constraint.l_target)}: no side of the condition has a value of the robot"
        meant = [f"${{{nearly[1]}}}" for text in sides.values() if (nearly := _NEARLY.fullmatch(text))]
        yield Fault("lTarget", found, f"write {meant[0] if meant else '${attr.<name>}, ${meta.<label>} or ${node.<name>}'}")
    # With a name in it, it is another text on each robot.
    if not _NAME.search(constraint.r_target) and (wrong := _fault(constraint.operand, constraint.r_target)):
        yield Fault("rTarget", wrong)


def _fault(operand: Operand, right: str) -> str | None:
    """Why the operand cannot take this text; None where it can."""
    if operand is Operand.REGEXP:
        try:
            re.compile(right)
        except (re.error, OverflowError, RecursionError) as error:
            return f"{right!r} is not a regular expression: {error}"
    if operand is Operand.VERSION:
        for clause in right.split(","):
            if not _CLAUSE.fullmatch(clause.strip()):
                return f"{clause.strip()!r} is not a version condition such as '>= 1.2'"
    return None


def _version(text: str) -> tuple[tuple[int, str], ...]:
    """The version's numbers, each as its length and its digits: they compare as numbers do, however long they are."""
    digits = [number.lstrip("0") for number in re.findall("[0-9]+", text.split("-")[0].split("+")[0].split("~")[0])]
    while digits and not digits[-1]:
        digits.pop()
    return tuple((len(number), number) for number in digits)


def _version_holds(left: str, clause: str) -> bool:
    """Whether a version meets one condition. One that `check` objects to is never met, and what is no version meets none."""
    parts = _CLAUSE.fullmatch(clause)
    if parts is None or not _VERSION.match(left):
        return False
    operand, version = parts.groups()
    have, want = _version(left), _version(version)
    return _compare((have > want) - (have < want), Operand(operand or "="))


def _ordered(left: str, right: str) -> int:
    """-1, 0 or 1; as numbers where both are, else as text."""
    try:
        have, want = float(left), float(right)
    except ValueError:
        return (left > right) - (left < right)
    return (have > want) - (have < want)


def _compare(order: int, operand: Operand) -> bool:
    return {
        Operand.EQUAL: order == 0,
        Operand.NOT_EQUAL: order != 0,
        Operand.GREATER: order > 0,
        Operand.GREATER_EQUAL: order >= 0,
        Operand.LESS: order < 0,
        Operand.LESS_EQUAL: order <= 0,
    }[operand]
