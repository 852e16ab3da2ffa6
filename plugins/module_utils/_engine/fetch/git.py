# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""git: a repository at a branch, tag or commit, fetched by the robot's own git and packed without its history.

Nothing secret is in an argument: a user and password are handed over by a program that git asks for those of this server alone, whoever
else may be named by a redirect or a submodule; a key is in a file of root's.
"""

from __future__ import annotations

import os
import shlex
import shutil
from urllib import parse

from ..system import command, files
from ..system.command import ENVIRONMENT
from . import pack
from .cache import Unfetched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cache import Pin
    from .shapes import Room, Source, Tell

# Seconds, for each command: a large repository takes long.
TIMEOUT = 1800
_ASKED = '#!/bin/sh\n[ "$1" = get ] && printf "username=%s\\npassword=%s\\n" "$K8S4R_USER" "$K8S4R_PASSWORD"\n'


def fetch(source: Source, partial: str, _before: Pin, room: Room, tell: Tell) -> Pin:
    """Fetch, and pack what the repository has into a tar. Raises `Unfetched`."""
    program = shutil.which("git", path=ENVIRONMENT["PATH"])
    if program is None:
        raise Unfetched("this robot has no git; install it, or name an archive of the repository by https")
    work = partial + ".git"
    _clear(work)
    os.mkdir(work, 0o700)
    try:
        return _fetched(_Git(program, work, source), source, partial, room, tell)
    finally:
        _clear(work)


def _clear(work: str) -> None:
    """Trees of others may be deep; rm goes down any depth, and follows no link on the way."""
    command.need(["rm", "-rf", "--one-file-system", "--", work])


def _fetched(git: _Git, source: Source, partial: str, room: Room, tell: Tell) -> Pin:
    tree, ref = f"{git.work}/tree", source["ref"] or "HEAD"
    if ref.startswith("-"):
        raise Unfetched(f"ref: {ref} is no branch, tag or commit")
    git.run("init", "--quiet", tree)
    tell(f"git fetches {ref}")
    depth = [f"--depth={source['depth']}"] if source["depth"] else []
    code, output = git.tried("-C", tree, "fetch", "--quiet", "--no-tags", *depth, source["url"], ref)
    if code and source["ref"]:
        # Servers need not give out a commit by its digest alone, and a short one is no name of anything there.
        code, output = git.tried("-C", tree, "fetch", "--quiet", "--tags", source["url"], "+refs/heads/*:refs/remotes/origin/*")
        what = ref
    else:
        what = "FETCH_HEAD"
    if code:
        raise Unfetched(f"git cannot fetch it: {git.why(output)}")
    code, output = git.tried("-C", tree, "checkout", "--quiet", "--detach", what)
    if code:
        raise Unfetched(f"the repository has no {ref}: {git.why(output)}")
    if os.path.lexists(f"{tree}/.gitmodules"):
        tell("git fetches submodules")
        git.run("-C", tree, "submodule", "--quiet", "update", "--init", "--recursive", *depth)
    when = git.run("-C", tree, "log", "-1", "--format=%ct").strip()
    room(files.size(tree, most=10**6))
    return {"sha256": pack.tree(tree, partial, int(when))}


class _Git:
    def __init__(self, program: str, work: str, source: Source) -> None:
        self.program = program
        self.work = work
        self.source = source
        self.environment = {
            **ENVIRONMENT,
            **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
            "HOME": work,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
        }
        self.options = ["-c", "core.hooksPath=/dev/null"]
        if source["user"] or source["password"]:
            self._put("asked", _ASKED, 0o700)
            server = parse.urlsplit(source["url"])
            self.options += ["-c", f"credential.{server.scheme}://{server.netloc}.helper={work}/asked"]
            self.environment.update(GIT_ASKPASS="/bin/false", K8S4R_USER=source["user"], K8S4R_PASSWORD=source["password"])
        known = os.path.normpath(f"{os.path.dirname(work)}/../known_hosts")
        # The key of the job, or none: neither one of whoever runs this, nor what that one's agent or settings have.
        ssh = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        ssh += ["-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={_for_ssh(known)}"]
        if source["key"]:
            self._put("key", source["key"], 0o600)
        ssh += ["-o", f"IdentityFile={_for_ssh(work + '/key') if source['key'] else 'none'}"]
        self.environment["GIT_SSH_COMMAND"] = " ".join(map(shlex.quote, ssh))

    def _put(self, name: str, content: str, mode: int) -> None:
        with open(f"{self.work}/{name}", "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)

    def tried(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and what it printed."""
        argv = [self.program, *self.options, *arguments]
        code, output = command.run(argv, timeout=TIMEOUT, environment=self.environment)
        if code == 124:
            raise Unfetched(f"git did not end within {TIMEOUT} s")
        return code, output

    def run(self, *arguments: str) -> str:
        code, output = self.tried(*arguments)
        if code:
            raise Unfetched(f"git {next(word for word in arguments if word[0] not in '-/')} ended with status {code}: {self.why(output)}")
        return output

    def why(self, output: str) -> str:
        """The last of what git printed, without what is secret."""
        text = " ".join(line for line in output.splitlines() if "askpass" not in line)
        text = " ".join(text.split())[-300:]
        for secret in (self.source["password"], self.source["url"]):
            if secret:
                text = text.replace(secret, self.source["shown"])
        return text


def _for_ssh(path: str) -> str:
    """A path as an option of ssh's has it, ssh_config(5)."""
    return f'"{path.replace("%", "%%")}"'
