# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a robot: what systemd, the control groups and logs say of our units, as one JSON document."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import subprocess

CGROUPS = pathlib.Path("/sys/fs/cgroup")
UNLIMITED = 2**60
COUNTED = {"opened": "connections", "request": "requests"}
PROPERTIES = "Id,Description,ActiveState,SubState,Result,NRestarts,ControlGroup"


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def units():
    """Slices and services with their state and with the limits that the kernel holds."""
    listed = said("systemctl", "list-units", "--all", "--plain", "--no-legend", "k8s4r-*.slice", "k8s4r-*.service")
    names = [line.split()[0] for line in listed.splitlines() if not line.startswith("k8s4r-log")]
    blocks = said("systemctl", "show", "--property", PROPERTIES, *names).split("\n\n") if names else []
    found = []
    for block in blocks:
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit:
            found.append({**unit, **limits(unit.get("ControlGroup") or "")})
    return found


def number(*paths):
    """The first word of the first of these files that exists; None for none, or where it says that there is no limit."""
    for path in paths:
        if path.is_file():
            word = path.read_text().split()[0]
            return int(word) if word.isdigit() and int(word) < UNLIMITED else None
    return None


def limits(group):
    """Bytes, thousandths of a core and processes, read from cgroup v2 or v1, whichever has the controller."""
    if not group:
        return {"memory": None, "used": None, "cpu": None, "pids": None}
    here = group.lstrip("/")
    v2, memory, cpu, pids = (CGROUPS / part / here for part in ("", "memory", "cpu,cpuacct", "pids"))
    if not cpu.exists():
        cpu = CGROUPS / "cpu" / here
    quota, period = number(cpu / "cpu.cfs_quota_us"), number(cpu / "cpu.cfs_period_us")
    if (v2 / "cpu.max").is_file():
        words = (v2 / "cpu.max").read_text().split()
        quota, period = (int(words[0]), int(words[1])) if words[0].isdigit() else (None, None)
    return {
        "memory": number(v2 / "memory.max", memory / "memory.limit_in_bytes"),
        "used": number(v2 / "memory.current", memory / "memory.usage_in_bytes"),
        "cpu": quota * 1000 // period if quota and period else None,
        "pids": number(v2 / "pids.max", pids / "pids.max"),
    }


def journal(*arguments):
    for line in said("journalctl", "--quiet", "--output=json", *arguments).splitlines():
        entry = json.loads(line)
        if isinstance(entry.get("MESSAGE"), str):
            yield entry


def records():
    """What the proxies' access logs say, in order."""
    for entry in journal("--unit=k8s4r-proxy-*"):
        if entry["MESSAGE"].startswith("{"):
            yield json.loads(entry["MESSAGE"])


def callers():
    """Service, who called, how it ended, and how often. A connection that was refused after it stood counts as refused."""
    ends = {}
    for number, record in enumerate(records()):
        refused = record.get("tls_failure") or record.get("refused")
        if not refused and record["event"] not in COUNTED:
            continue
        reasons = re.findall(r"[A-Z]+(?:_[A-Z]+)+", (refused or "").replace("OPENSSL_internal", ""))
        what = "refused: " + (reasons or [refused])[-1] if refused else COUNTED[record["event"]]
        one = number if record["event"] == "request" else record["from"]
        ends[record["service"], one] = (record["service"], record.get("peer") or "(no certificate)", what)
    return [[*end, count] for end, count in sorted(collections.Counter(ends.values()).items())]


def last_words():
    """The last line that each task wrote to its log."""
    words = {}
    for unit in units():
        files = pathlib.Path("/var/lib/k8s4r/tasks", unit["Id"].removeprefix("k8s4r-task-").removesuffix(".service"), "logs").glob("*.log")
        for path in sorted(files, key=lambda path: path.stat().st_mtime):
            words.update((unit["Id"], line) for line in path.read_text(errors="replace").splitlines()[-1:])
    return words


print(json.dumps({"units": units(), "callers": callers(), "words": last_words()}))
