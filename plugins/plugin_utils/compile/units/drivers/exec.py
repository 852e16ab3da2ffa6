# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec: the program runs as the task's user, in PID, IPC and UTS namespaces of its own. The file system is read-only except
for the task's own directories.

The systemd versions on robots cannot do all of this: PrivateIPC= came with 248, and PrivatePIDs= with 257, where it loses
exit statuses. So the unit starts as root, enters the namespaces with `unshare` (util-linux) and drops every privilege with
`setpriv` before the program starts. A shell stays as PID 1 of the namespace: as PID 1 itself, a program without a handler for
SIGTERM would ignore that signal. The shell exits with the program's status, or 128 + n after signal n. Both together use less
than 1 MB.
"""

from __future__ import annotations

from ....job.model.vocabulary import Sharing
from ...isolation.sharing import Shares
from ...systemd import HIDES_PROCESSES, Directives, command
from . import walls
from .launch import Launch

_UNSHARE = {"uts": ("--uts",), "pid": ("--pid", "--fork", "--kill-child", "--mount-proc"), "ipc": ("--ipc",)}
# The versions of systemd that come with util-linux 2.36 (Debian 11), whose `unshare --fork` ignores SIGINT and SIGTERM and hands that
# on to its child.
_DEAF = (247, 248)
# Nothing but a program can undo that a signal is ignored: a shell cannot trap one that was ignored when it started.
_RESTORE = ("/usr/bin/env", "--default-signal=INT,TERM")
# The commands that make a user namespace in which the user is the only one, and there itself or root: that one has all privileges of root
# over what is in the namespace, and gives them up.
_ALONE = ("/usr/bin/unshare", "--user", "--map-current-user")
_ROOT_ALONE = ("/usr/bin/unshare", "--user", "--map-root-user", "/usr/bin/setpriv", "--bounding-set=-all")
# Many robots let no other user make such a namespace (kernel.unprivileged_userns_clone, AppArmor). In it, nothing is left of this.
_MAKES_USERS = "SYS_ADMIN"
# What the unit needs to start the program; each is dropped before that.
_PRIVILEGES = ("SYS_ADMIN", "SETUID", "SETGID", "SETPCAP")
# It does not tell in the task's log by which signal the program has ended: systemd does, in the journal.
SHELL = ("/bin/sh", "-c", 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?', "sh")
# Runs a command, as root, in the groups of a user and in some more; `setpriv` can do either, but not both.
_JOIN = (
    "/bin/sh",
    "-c",
    'user=$1 more=$2; shift 2; exec /usr/bin/setpriv --groups="$(/usr/bin/id -G -- "$user" | /usr/bin/tr " " ,),$more" "$@"',
    "sh",
)


def directives(launch: Launch) -> Directives:
    remount = walls.REMOUNT if launch.user == walls.ROOT else ()
    join = (*_JOIN, launch.user, ",".join(launch.groups)) if launch.groups else ()
    groups = "--keep-groups" if join else "--init-groups"
    kept = (_MAKES_USERS,) if launch.inside else launch.capabilities
    drop = ("/usr/bin/setpriv", f"--reuid={launch.user}", f"--regid={launch.group}", groups, *_drop(kept))
    alone = (_ROOT_ALONE if launch.inside == walls.ROOT else _ALONE) if launch.inside else ()
    # `env` also keeps the shell from taking a bare name for one of its builtins.
    env = launch.late or (("/usr/bin/env",) if "/" not in launch.argv[0] else ())
    own, host = launch.shares.pid is Sharing.OWN, launch.shares.pid is Sharing.HOST
    restore = _RESTORE if own and launch.systemd in _DEAF else ()
    program = (*(SHELL if own else ()), *env, *launch.argv)
    return [
        *launch.variables,
        *launch.late_variables,
        ("ExecStart", command((*join, *_namespaces(launch.shares), *restore, *remount, *drop, *alone, *program))),
        # SIGHUP, SIGINT, SIGPIPE and SIGTERM: systemd takes an end by one of these for a clean exit, and the shell reports them so.
        *([("SuccessExitStatus", "129 130 141 143")] if own else []),
        *launch.stopped,
        ("CapabilityBoundingSet", " ".join(f"CAP_{name}" for name in (*_PRIVILEGES, *launch.capabilities))),
        ("NoNewPrivileges", "yes"),
        *([] if launch.shares.uts is Sharing.HOST else [("ProtectHostname", "yes")]),
        ("RestrictSUIDSGID", "yes"),
        ("LockPersonality", "yes"),
        # Among the robot's processes it sees, of other users', that they are there, and no more.
        *([("ProtectProc", "invisible")] if host and launch.systemd >= HIDES_PROCESSES else []),
        *walls.directives(launch),
    ]


def _drop(kept: tuple[str, ...]) -> tuple[str, ...]:
    """Options by which all privileges are dropped but these. As ambient ones, a program that is not root's has them too."""
    but = "".join(f",+{name.lower()}" for name in kept)
    return (f"--inh-caps=-all{but}", *([f"--ambient-caps=-all{but}"] if kept else []), f"--bounding-set=-all{but}", "--no-new-privs")


def _namespaces(shares: Shares) -> tuple[str, ...]:
    """The commands that enter those of the group, and make the task's own."""
    group, own = shares.with_whom(Sharing.GROUP), shares.with_whom(Sharing.OWN)
    enter = ("/usr/bin/nsenter", *(f"--{kind}={walls.NAMESPACES}/{kind}" for kind in group)) if group else ()
    make = [option for kind, options in _UNSHARE.items() if kind in own for option in options]
    # The namespace's own, in place of the robot's.
    proc = ["--mount-proc"] if "pid" in group else []
    return (*enter, *(("/usr/bin/unshare", *make, *proc) if make or proc else ()))
