# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""java: the robot's Java virtual machine runs a jar or a class, confined as with exec."""

from __future__ import annotations

import typing as t

from .....module_utils._engine import plan
from ....job.model.brings.drivers import JavaConfig
from ....job.model.resources import Resources
from ....job.model.task import Task
from ...content.substitution import each_of, words
from ...site.placed import PlacedTask
from ...site.site import Site
from ..command import Command, absolute, is_written_by_tasks, missing, needed, on_robot

PROGRAM = "java"
# Options that say how large the heap may be, and the variables by which a virtual machine gets options before those of its command line.
_HEAP = ("-Xmx", "-XX:MaxHeapSize", "-XX:MaxRAM")
_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
# What a virtual machine takes besides its heap: code, classes, threads.
_REST = 64 * 2**20


def command(site: Site, task: PlacedTask[Task], variables: t.Mapping[str, str]) -> Command:
    """The command line of the virtual machine."""
    where = f"{task.path}.config.javaConfig"
    config = task.spec.config.java_config
    if config is None:
        return missing(site, where, task.spec.driver)
    options, wrong = words(site, each_of(f"{where}.jvmOptions", config.jvm_options), variables)
    what, key, found = _what(site, task, config, where, variables)
    args, unresolved = words(site, each_of(f"{where}.args", config.args), variables)
    jar = what[-1] if config.jar_path is not None else ""
    expects = () if not jar or is_written_by_tasks(jar) else (plan.expected("jar", on_robot(task.spec, jar), site.where(key)),)
    return Command(
        (PROGRAM, *_heap(task.spec.resources, options, variables), *options, *what, *args),
        key,
        needed(site, task.spec, PROGRAM, f"{task.path}.driver", variables),
        (*wrong, *found, *unresolved),
        expects,
    )


def _what(
    site: Site, task: PlacedTask[Task], config: JavaConfig, where: str, variables: t.Mapping[str, str]
) -> tuple[tuple[str, ...], str, t.Sequence[t.Any]]:
    """What it runs, as arguments; the key that says so, and what is wrong with it."""
    if config.jar_path is not None:
        (jar,), wrong = words(site, {f"{where}.jarPath": config.jar_path}, variables)
        return ("-jar", absolute(task, jar)), f"{where}.jarPath", wrong
    (name, places), wrong = words(
        site, {f"{where}.class": config.class_name or "", f"{where}.classpath": config.classpath or "."}, variables
    )
    return ("-cp", ":".join(absolute(task, place) for place in places.split(":")), name), f"{where}.class", wrong


def _heap(resources: Resources, options: t.Sequence[str], variables: t.Mapping[str, str]) -> tuple[str, ...]:
    """The heap's size, by the memory that the task may have before it is slowed down or killed; nothing where the job says it, or where
    there is no limit.
    """
    given = (*options, *(word for name in _OPTIONS for word in variables.get(name, "").split()))
    limits = [size for size in (resources.memory, resources.memory_high) if size]
    if not limits or any(option.startswith(_HEAP) for option in given):
        return ()
    limit = min(limits)
    return (f"-Xmx{max(limit - max(limit // 4, _REST), limit // 4) // 2**10}k",)
