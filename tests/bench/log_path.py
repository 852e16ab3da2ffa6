# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task that writes as fast as it can gets into its log files, beside svlogd and a plain file on the same disk."""

from __future__ import annotations

import json
import shlex
import statistics
import typing as t

from .stage import Bench, install

TURNS, ROBOT = 5, "robot1"
JOB = "log.yml"
SIZES = (4096, 65536)

# The task's program, and the others': lines of 100 bytes for so many seconds. It tells how many bytes a second it got rid of.
WRITER = r"""
import os, sys, time
size, seconds, result = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
block = ((b"x" * 99 + b"\n") * (size // 100 + 1))[-size:]
count, begun = 0, time.monotonic()
while time.monotonic() - begun < seconds:
    count += os.write(1, block)
with open(result + ".new", "w") as stream:
    stream.write(str(count / (time.monotonic() - begun)))
os.rename(result + ".new", result)
time.sleep(1000)
"""

# Runs on the robot, where the task is told by a file how to write.
PROGRAM = r"""
import json, os, subprocess, sys, time
writer, size, seconds = sys.argv[1], sys.argv[2], sys.argv[3]
def shell(command):
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout.strip()
(alloc,) = [entry.path + "/alloc" for entry in os.scandir("/var/lib/k8s4r/groups") if entry.name.startswith("bench-log-")]
place = "/var/lib/bench-log"
shell("rm -rf %s; mkdir -p %s/svlogd; printf 's10485760\nn10\n' >%s/svlogd/config" % (place, place, place))
for directory in (place, alloc):
    with open(directory + "/writer", "w") as stream:
        stream.write(writer)
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.05)
    with open(path) as stream:
        return float(stream.read())
def ours():
    with open(alloc + "/size", "w") as stream:
        stream.write(size + " " + seconds + "\n")
    shell("rm -f %s/rate; systemctl restart 'k8s4r-task-bench-log-*'" % alloc)
    return wait(alloc + "/rate")
def beside(into):
    shell("rm -f %s/rate" % place)
    command = "exec python3 -I -S %s/writer %s %s %s/rate" % (place, size, seconds, place)
    process = subprocess.Popen(["sh", "-c", command], stdout=into)
    rate = wait(place + "/rate")
    process.kill()
    process.wait()
    return rate
def svlogd():
    process = subprocess.Popen(["svlogd", place + "/svlogd"], stdin=subprocess.PIPE)
    rate = beside(process.stdin)
    process.stdin.close()
    process.wait()
    return rate
def file():
    with open(place + "/file", "wb") as stream:
        rate = beside(stream)
    os.unlink(place + "/file")
    return rate
print(json.dumps({"ours": ours(), "svlogd": svlogd(), "file": file()}))
shell("rm -rf " + place)
"""
SECONDS = 3


class LogPath(t.NamedTuple):
    """Medians in MB (of 1,000,000 bytes) a second, by the bytes of each write; `memory` of the rotator after it, proportional, in KiB."""

    rates: dict[int, dict[str, float]]
    memory: int


def log_path(bench: Bench) -> LogPath:
    """All take turns."""
    install(bench, ROBOT, "runit")
    bench.run([*bench.deploy(JOB), "--limit", ROBOT])
    rates = {}
    for size in SIZES:
        words = ["python3", "-c", PROGRAM, WRITER, str(size), str(SECONDS)]
        turns = [json.loads(bench.on(ROBOT, " ".join(map(shlex.quote, words)))) for _turn in range(TURNS)]
        rates[size] = {name: statistics.median(turn[name] for turn in turns) / 1e6 for name in turns[0]}
    process = "$(systemctl show --property=MainPID --value k8s4r-logs.service)"
    memory = int(bench.on(ROBOT, f"grep ^Pss: /proc/{process}/smaps_rollup").split()[1])
    bench.run([*bench.remove(JOB), "--limit", ROBOT])
    return LogPath(rates, memory)
