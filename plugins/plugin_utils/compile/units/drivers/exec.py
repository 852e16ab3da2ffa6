# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec: the program as the task's user with PID, IPC and UTS namespaces of its own and a file system that is
read-only but for its own directories.

systemd cannot do all of it on the versions that robots have: PrivatePIDs= is of 257 and loses exit statuses there,
PrivateIPC= is of 248. So root's unit goes through `unshare` (util-linux) and drops every privilege with `setpriv`
before the program starts. A shell stays as PID 1 of the namespace, because a program that is PID 1 and has no handler
for SIGTERM would ignore it; it exits with the program's status, 128 + n after signal n. Under 1 MB for both.
"""

from __future__ import annotations

from .....module_utils._engine import plan
from ... import paths
from ...systemd import Directives, command, item
from .launch import Launch

# As large as Nomad's.
SECRETS_OPTIONS = "size=1M,nr_inodes=256,mode=1777"

_UNSHARE = ("/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts")
_DROP = ("--init-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
# Three words and no file of their own: nothing of ours that the task can see would hold one.
_SHELL = ("/bin/sh", "-c", '"$@"; exit $?', "sh")


def directives(launch: Launch) -> Directives:
    # `env` also keeps the shell from taking a bare name for one of its builtins.
    env = launch.late or (("/usr/bin/env",) if "/" not in launch.argv[0] else ())
    drop = ("/usr/bin/setpriv", f"--reuid={launch.user}", f"--regid={launch.group}", *_DROP)
    argv = (*_UNSHARE, *drop, *_SHELL, *env, *launch.argv)
    own = (launch.directory, *launch.shared)
    binds = (
        *map(item, own),
        f"{item(launch.tmp)}:/tmp",
        f"{item(launch.tmp)}:/var/tmp",
    )
    return [
        ("EnvironmentFile", item(launch.environment_file)),
        *launch.late_variables,
        ("ExecStart", command(argv)),
        # The four signals after which systemd itself calls an end clean, as the shell reports them.
        ("SuccessExitStatus", "129 130 141 143"),
        ("CapabilityBoundingSet", "CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_SETPCAP"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHostname", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectControlGroups", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("LockPersonality", "yes"),
        # Of what is ours and SPIRE's it sees its own task and group alone.
        # The task's secrets are in a memory of their own that is in nobody else's view, and counted as the task's.
        ("TemporaryFileSystem", f"{plan.STATE}:ro,mode=0755 {item(launch.secrets + ':' + SECRETS_OPTIONS)}"),
        ("InaccessiblePaths", " ".join(f"-{path}" for path in (plan.CONFIGURATION, *paths.SPIRE))),
        ("BindPaths", " ".join(binds)),
    ]
