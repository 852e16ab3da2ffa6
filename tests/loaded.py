# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook, forked from a process that has loaded Ansible: to load it takes longer than most runs do of anything else.

What runs is Ansible's own command, with its own arguments, environment, directory and files. All that Ansible takes from the environment
while it is loaded must be the same, so there is a process for each environment.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t
import warnings

PROGRAM = pathlib.Path(sys.executable).with_name("ansible-playbook")
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
# What each run loads.
LOADED = ("ansible.cli.playbook", "ansible.executor.playbook_executor", "ansible.plugins.strategy.linear", "ansible.plugins.action.normal")
# Ansible's own plugins that most runs use; from the documentation of each, Ansible takes the settings that it knows.
PLUGINS = {
    "inventory": ("host_list", "script", "auto", "yaml", "ini", "toml"),
    "connection": ("ssh", "local"),
    "callback": ("default",),
    "shell": ("sh",),
    "strategy": ("linear",),
    "become": ("sudo",),
    "lookup": ("env", "file", "vars", "template"),
}
POLL_SECONDS = 0.01
"""So often a run that waits looks for results. Ansible's own is a tenth of it, and busier."""
# What Ansible does not look at until it runs.
LATER = ("K8S4R_", "PYTEST_")
_loaded: dict[frozenset[tuple[str, str]], Loaded] = {}


def run(
    *arguments: str | os.PathLike[str], environment: t.Mapping[str, str], directory: str | os.PathLike[str] = ".", seconds: float = 1200
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook, and wait for its end."""
    key = frozenset(item for item in environment.items() if not item[0].startswith(LATER))
    if key not in _loaded:
        _loaded[key] = Loaded(environment)
    return _loaded[key].run(list(map(str, arguments)), environment, directory, seconds)


class Loaded:
    """A process that has loaded Ansible in an environment, and forks for each run."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.loaded", str(theirs.fileno())],
                cwd=CHECKOUT, env=dict(environment), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        atexit.register(self.end)

    def run(
        self, arguments: list[str], environment: t.Mapping[str, str], directory: str | os.PathLike[str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        asked = {"arguments": arguments, "environment": dict(environment), "directory": os.path.abspath(directory)}
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile("w+") as request, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            with theirs:
                json.dump(asked, request)
                request.flush()
                files = [theirs.fileno(), request.fileno(), out.fileno(), err.fileno()]
                socket.send_fds(self._socket, [b"r"], files)
            ours.settimeout(seconds)
            said = ours.makefile()
            pid = int(said.readline())
            try:
                # Nothing comes from one that was killed.
                status = int(said.readline() or -signal.SIGKILL)
            except BaseException:
                os.killpg(pid, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([str(PROGRAM), *arguments], status, out.read(), err.read())

    def end(self) -> None:
        self._socket.close()
        self._process.wait()


def _serve(asked: socket.socket) -> None:
    """Until nobody can ask any more. Only a child returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        word, files, _flags, _address = socket.recv_fds(asked, 1, 4)
        if not word:
            os._exit(0)
        if os.fork() == 0:
            asked.close()
            _become(files)
            return
        for file in files:
            os.close(file)


def _become(files: t.Sequence[int]) -> None:
    """Be a new process of ansible-playbook, as far as it can tell; and say how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    told, request, out, err = files
    with open(request, encoding="utf-8") as stream:
        stream.seek(0)
        wanted = json.load(stream)
    for source, target in ((out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)
    os.chdir(wanted["directory"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.argv = [str(PROGRAM), *wanted["arguments"]]
    os.write(told, f"{os.getpid()}\n".encode())
    _play(told)


def _play(told: int) -> None:
    from ansible import constants
    from ansible.cli import playbook

    # A directory of its own, which goes when it ends.
    constants.DEFAULT_LOCAL_TMP = constants.config.get_config_value("DEFAULT_LOCAL_TMP")
    constants.DEFAULT_INTERNAL_POLL_INTERVAL = POLL_SECONDS
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    status: t.Any = 1
    try:
        playbook.main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        atexit._run_exitfuncs()
        os.write(told, f"{status}\n".encode())
        os._exit(0)


def _load() -> None:
    for name in LOADED:
        importlib.import_module(name)
    from ansible.plugins import loader

    loader.init_plugin_loader()
    for kind, names in PLUGINS.items():
        for name in names:
            getattr(loader, f"{kind}_loader").get(f"ansible.builtin.{name}", class_only=True)
    # What the collector does not visit, no run needs to copy.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    # The command does not look for modules in the checkout.
    sys.path.remove(str(CHECKOUT))
    _serve(socket.socket(fileno=int(sys.argv[1])))
