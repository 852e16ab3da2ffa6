# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that holds the namespaces which tasks of an instance share, by a process that sleeps.

The first of these tasks starts it, and it ends after the last. When it ends before, the kernel ends all processes of the PID
namespace: their units start again, and it with them. It cannot be restarted without them, so it holds the same
namespaces whatever the tasks share, and a change of one task leaves it alone.

A pod has such a unit in any case, which brings its network up before and takes it down after. Everything of the pod requires it: when it
starts again, because it has died or is another one, all of that enters anew.
"""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job.model.vocabulary import Sharing
from .. import helpers, names, paths, systemd
from ..helpers import Call
from ..site.placed import Pod
from ..site.site import Site
from .sharing import Shares, held, shares

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Resource

# A task that could look into the process would see the robot's root directory through it.
_NOBODY = str(plan.NO_USER)
# Process IDs of each group begin at a number of its own: what takes them for an identity finds itself unique on the robot as well. A
# kernel that cannot do that begins at 1.
_NUMBERED = ("/bin/sh", "-c", 'echo "$1" 2>/dev/null >/proc/sys/kernel/ns_last_pid; shift; exec "$@"', "sh")
_DROP = ("/usr/bin/setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
# What the tasks' processes leave behind becomes a child of the first process, and nobody asks how it ended.
_SLEEP = ("/usr/bin/env", "--ignore-signal=CHLD", "/bin/sleep", "infinity")
# The `env` that comes with the oldest systemd cannot do that, and the shell that comes with it can.
_OLD_SLEEP = ("/bin/sh", "-c", 'trap "" CHLD; exec /bin/sleep infinity')
_ENV_CAN = 247
# Sets the name of the namespace that it runs in. In a container, the robot's own /proc/sys is read-only.
_NAME = ("unshare", "--mount", "/bin/sh", "-c", 'mount -t proc proc /proc && echo "$1" >/proc/sys/kernel/hostname', "sh")
# The engine's program for a pod's network; found and run as helpers are.
_PYTHON = ("/usr/bin/env", f"PATH={paths.SEARCH}", "python3", "-I", "-S", "-c")
_RUN = f"import sys; sys.path.insert(0, '{plan.STATE}/engine/current'); from {plan.PACKAGE}.pods.program import main; main()"


def resources(site: Site) -> list[Resource]:
    """The units that hold namespaces at this site, one for each instance; none where no task shares any with its group."""
    if site.are_pods:
        return [_unit(site, pod.instance, pod) for pod in site.pods]
    shared = any(Sharing.GROUP in shares(spec) for spec in site.group.tasks)
    return [_unit(site, instance) for instance in site.instances] if shared else []


def called(site: Site) -> set[helpers.Helper]:
    """The helpers that these units call."""
    return {helpers.BIND_NAMESPACES} if resources(site) else set()


def _network(verb: str, pod: Pod) -> str:
    return systemd.command((*_PYTHON, _RUN, verb, pod.id), "+")


def _unit(site: Site, instance: int, pod: Pod | None = None) -> Resource:
    name, place = held(site, instance)
    bind = Call(helpers.BIND_NAMESPACES, (place,))
    unshare = ("/usr/bin/unshare", "--ipc", "--uts", "--pid", "--fork", "--mount-proc")
    sleep = _SLEEP if site.robot.systemd >= _ENV_CAN else _OLD_SLEEP
    files = [f"{place}/{kind}" for kind in Shares._fields]
    named = ("nsenter", f"--uts={place}/uts", *_NAME, pod.host) if pod else ()
    sections: dict[str, systemd.Directives] = {
        "Unit": [
            ("Description", systemd.text(site.title(f"r{instance}", "pod" if pod else "namespaces"))),
            ("StopWhenUnneeded", "yes"),
            *([("StartLimitIntervalSec", "0")] if pod else []),
        ],
        "Service": [
            *systemd.started(site.robot.systemd),
            ("Slice", site.slice),
            ("RuntimeDirectory", place.removeprefix("/run/")),
            ("RuntimeDirectoryMode", "0700"),
            # What runs in a pod takes its address in when it starts.
            *([("Environment", f"POD_IP={pod.address}")] if pod else []),
            *([("Environment", f"POD_IP6={pod.address6}")] if pod and pod.address6 else []),
            *([("ExecStartPre", _network("up", pod))] if pod else []),
            # Networks are made one after another, and a small robot with many pods boots slowly.
            *([("TimeoutStartSec", "infinity")] if pod else []),
            ("ExecStart", systemd.command((*unshare, *_NUMBERED, str(names.first_process(site.id, instance)), *_DROP, *sleep))),
            ("ExecStartPost", systemd.as_root(bind.command(site.bin), ("MAINPID",))),
            *([("ExecStartPost", systemd.as_root(named))] if pod else []),
            ("ExecStopPost", systemd.as_root(("umount", "--lazy", *files), (), "-")),
            *([("ExecStopPost", _network("down", pod)), ("Restart", "always"), ("RestartSec", "100ms")] if pod else []),
            # The first process of a namespace obeys no other signal, and has nothing to lose by this one.
            ("KillSignal", "SIGKILL"),
            ("SuccessExitStatus", "SIGKILL"),
            ("CapabilityBoundingSet", "CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_SETPCAP"),
            ("NoNewPrivileges", "yes"),
        ],
    }
    return plan.unit(name, systemd.unit(sections))
