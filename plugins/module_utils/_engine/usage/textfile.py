# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics as a text file for Prometheus' node_exporter: its collector `textfile` reads what ends with `.prom` in a directory.

https://prometheus.io/docs/instrumenting/exposition_formats/, and "Metric and label naming" there: base units, `_total` for what only grows.
"""

from __future__ import annotations

import contextlib
import os

from ..system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    # As requests/info.py makes them.
    Data = t.Mapping[str, t.Any]
    Labels = t.Sequence[t.Tuple[str, str]]

NAME = "k8s4r.prom"
# Of a task, a proxy and a group: what it is called, its type, what it says, and where in the data it is.
METRICS = (
    ("cpu_seconds_total", "counter", "CPU time since the start.", ("cpu", "seconds")),
    ("cpu_throttled_seconds_total", "counter", "Time of waiting because of the limit, since the start.", ("cpu", "throttled_seconds")),
    ("cpu_limit_cores", "gauge", "Limit of CPU time, in cores.", ("cpu", "limit")),
    ("memory_bytes", "gauge", "Memory, with what the kernel keeps of files.", ("memory", "current")),
    ("memory_peak_bytes", "gauge", "The most memory since the start.", ("memory", "peak")),
    ("memory_limit_bytes", "gauge", "Limit of memory.", ("memory", "limit")),
    ("oom_kills", "gauge", "Processes killed because memory ran out, as far back as the kernel's log goes.", ("memory", "oom_kills")),
    ("io_read_bytes_total", "counter", "Bytes read from disks since the start.", ("io", "read_bytes")),
    ("io_written_bytes_total", "counter", "Bytes written to disks since the start.", ("io", "written_bytes")),
    ("io_reads_total", "counter", "Read operations since the start.", ("io", "reads")),
    ("io_writes_total", "counter", "Write operations since the start.", ("io", "writes")),
    ("processes", "gauge", "Processes.", ("processes",)),
    ("threads", "gauge", "Threads of all processes.", ("threads",)),
    ("threads_limit", "gauge", "Limit of threads.", ("threads_limit",)),
    ("restarts_total", "counter", "Restarts by systemd since somebody else started the unit.", ("restarts",)),
    ("exit_status", "gauge", "Exit status of the last run, or the signal that ended it.", ("exit_status",)),
    ("well", "gauge", "1 if it does what it should, or has done it.", ("well",)),
)  # fmt: skip


def text(taskgroups: t.Sequence[Data]) -> str:
    """All metrics of task groups, of their tasks and of their proxies. What a robot does not count is left out."""
    members: dict[str, list[tuple[Labels, Data]]] = {"group": [], "task": [], "proxy": []}
    for group in taskgroups:
        labels = [(key, group[key]) for key in ("namespace", "job", "group")]
        members["group"].append((labels, group))
        members["proxy"] += [(labels, group["proxy"])] if group["proxy"] else []
        in_pods = [([*labels, ("instance", str(pod["instance"]))], pod["proxy"]) for pod in group["pods"]]
        members["proxy"] += [(names, proxy) for names, proxy in in_pods if proxy]
        for task in group["tasks"]:
            instance = "" if task["instance"] is None else str(task["instance"])
            members["task"].append(([*labels, ("instance", instance), ("task", task["task"])], task))
    lines = []
    for kind, found in members.items():
        for name, type_, says, path in METRICS:
            samples = [(labels, value) for labels, data in found for value in [_value(data, path)] if value is not None]
            if samples:
                metric = f"k8s4r_{kind}_{name}"
                lines += [f"# HELP {metric} {says}", f"# TYPE {metric} {type_}"]
                lines += [f"{metric}{{{_labels(labels)}}} {value}" for labels, value in samples]
    return "".join([f"{line}\n" for line in lines])


def _value(data: t.Any, path: t.Sequence[str]) -> str | None:
    if path[0] == "io" and data["io"]["reads"] is None:
        # What is summed over processes falls when one ends, and Prometheus would take that for a new beginning.
        return None
    for key in path:
        # A group has no exit status.
        data = data.get(key)
    return None if data is None else repr(int(data) if isinstance(data, bool) else data)


def _labels(labels: Labels) -> str:
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in labels])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write(directory: str, content: str) -> None:
    """Put the file in place by rename, readable by everybody. It may be lost at a power cut, and wears out no flash by that."""
    with files.Parent(f"{directory}/{NAME}") as (parent, name):
        temporary = name + files.TEMPORARY
        with contextlib.suppress(FileNotFoundError):
            # That of a run that was killed.
            os.unlink(temporary, dir_fd=parent)
        made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with os.fdopen(made, "wb") as stream:
            stream.write(content.encode("utf-8"))
            os.fchmod(made, 0o644)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
