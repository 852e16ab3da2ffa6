# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of the SPIRE server as a run finds it: up, down, not provisioned, out of reach, or mistaken for another one."""

from __future__ import annotations

import enum
import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure

from .action import FIRST_CALL, Action, ActionProblem, Variables, in_time

PROGRAM = "/opt/k8s4r/bin/spire-server"
SOCKET = "/run/spire/server/api.sock"
UNIT = "/etc/systemd/system/spire-server.service"

# Prints one of the values below, and then what a command prints: a shell that could not even start (no sudo, for one) prints none of them.
LOOK = f"if test -S {SOCKET}; then echo up; %s; elif test -e {UNIT}; then echo down; else echo none; fi"
# Seconds in which the server must have done what is asked of it.
ANSWER = 120

NONE_YET = "there is no SPIRE server on {} yet; install it with: ansible-playbook k8s4r.robot.provision"


class State(enum.Enum):
    UP = "up"
    DOWN = "down"
    NONE = "none"


class Looked(t.NamedTuple):
    """What a run found on the server's machine (None: it could not look), and why the server cannot be asked, where it cannot.

    `said` is how the command ended that was to be run there: its exit status, what it printed, its errors.
    """

    state: State | None
    away: str
    said: tuple[int, str, str] = (0, "", "")


class ServerAction(Action):
    """An action that asks the SPIRE server: its task is delegated to the server's machine."""

    _requires_connection = True

    def look(self, host: str, command: t.Sequence[str] = (), data: str = "") -> Looked:
        """Whether the server runs on its machine; if it does, a command is run there, with `data` as its input."""
        try:
            with in_time(self.on_this_link(ANSWER if command else FIRST_CALL)):
                # With nothing to read, Ansible would give the command a terminal, which mixes what it prints with its errors.
                done = self.shell(LOOK % (shlex.join(command) or "true"), (data or "\n").encode())
        except AnsibleConnectionFailure as failure:
            return Looked(None, _unreachable(host, str(failure)))
        state, printed = _state(done.stdout)
        if state is None:
            return Looked(state, _unreachable(host, done.stderr))
        if state is State.DOWN:
            why = "k8s4r.robot.provision starts it, or there systemctl start spire-server; systemctl status spire-server says why it ended"
            return Looked(state, f"the SPIRE server on {host} is not running ({why})")
        return Looked(state, "", (done.status, printed, done.stderr))


def _unreachable(host: str, reason: str) -> str:
    last = (reason.strip().splitlines() or ["no reason given"])[-1].strip()
    return f"{host}, the machine of the SPIRE server, cannot be reached ({last})"


def _state(printed: str) -> tuple[State | None, str]:
    """A login banner may come before it. What a command has printed comes after it."""
    lines = printed.splitlines()
    words = {state.value: state for state in State}
    for number, line in enumerate(lines):
        if line.strip() in words:
            return words[line.strip()], "\n".join(lines[number + 1 :])
    return None, ""


def refuse_mistaken(action: Action, server: str, robots: t.Iterable[str], variables: Variables) -> None:
    """Raises `ActionProblem` if the run of this action would take another machine for the server's; without a `server` it cannot."""
    wrong = mistaken(server, robots, lambda host: action.connection_to(host, variables))
    if wrong:
        raise ActionProblem(wrong)


def mistaken(server: str, robots: t.Iterable[str], connection: t.Callable[[str], str]) -> str:
    """Why this run would take the wrong machine for the SPIRE server's; empty where it would not.

    `connection(host)` is the name of the plugin that reaches a host. Where both a robot and the server have `local`, what is
    meant for the server is done on the robot: so it is with ansible-pull.
    """
    if not server or connection(server) != "local":
        return ""
    here = sorted(name for name in robots if name != server and connection(name) == "local")
    if not here:
        return ""
    return (
        f"{', '.join(here)}: the jobs need identities, which are registered on {server}, the machine of the SPIRE server; but this run "
        f"has the connection `local` for both, so it would take this machine for {server}. Run it from a controller, or set a "
        f"connection that reaches {server} in the inventory, such as ansible_connection: ssh"
    )
