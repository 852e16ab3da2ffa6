# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot's Consul agent, which is somebody else's: it reads the definitions of services from its directory, of which ours are copies.

What a group has committed is in plan.REGISTERED. So nobody is sent to an instance before it is well, or after it has begun to stop.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time

from .. import plan
from ..say import jsontext
from ..say.errors import CommandFailed
from ..system import files, systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource

UNIT = "consul.service"
# That of the packages of Debian and of HashiCorp.
DIRECTORY = "/etc/consul.d"
_OURS = "k8s4r-"
_API = ("127.0.0.1", 8500)
# Seconds within which the agent should have picked up a change.
_PATIENCE = 5.0
# What the agent was told to read last. One that has started since has read what there is.
_READ = plan.RUNTIME + "/consul"
_REMEDIES = {
    "services": "or write `provider: native`",
    "templates": "or give the task what it asks for in env, or as an Ansible variable in Jinja",
    "upstreams": "or write `upstream: host:port`",
}


def lacks(asked: str, directory: str = DIRECTORY) -> str:
    """Why this robot's agent cannot have what is asked of it, `services`, `templates` or `upstreams`; empty where it can."""
    remedy = f"install one and start it, {_REMEDIES[asked]}"
    if not systemd.up(systemd.show([UNIT]).get(UNIT, {})):
        return f"no Consul agent runs on this robot ({UNIT}); {remedy}"
    if asked == "services" and not os.path.isdir(directory):
        return f"this robot's Consul agent has no directory {directory}; {remedy}"
    return ""


def settle(directory: str = DIRECTORY) -> list[str]:
    """After a switch: the agent has what all groups have committed, and nothing else of ours. What fails is reported, and the next switch
    tries again.
    """
    return _have(frozenset(), directory)


def registrations(resources: t.Iterable[Resource]) -> set[str]:
    """The files among them that register a service, by their names."""
    paths = (resource.get("path", "") for resource in resources)
    return {os.path.basename(path) for path in paths if path.startswith(plan.REGISTERED + "/")}


def withdraw(gone: t.Collection[str], directory: str = DIRECTORY) -> None:
    """Before what these files register is stopped: nobody new is sent there."""
    if not gone or _have(gone, directory):
        return
    deadline = time.monotonic() + _PATIENCE
    for definition in [content for name, content in sorted(_committed().items()) if name in gone]:
        while _knows(definition) and time.monotonic() < deadline:
            time.sleep(0.05)


def _knows(definition: bytes) -> bool:
    """Whether the agent says that it has a service. It reads its directory after it was asked to; one that answers nothing, or wants a
    token, is not waited for.
    """
    import http.client

    connection = http.client.HTTPConnection(*_API, timeout=1)
    try:
        connection.request("GET", f"/v1/agent/service/{json.loads(definition)['service']['id']}")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        # Somebody may also have written into the file.
        return False
    finally:
        connection.close()


def _committed() -> dict[str, bytes]:
    """By the names of their files. One that is on its way has a name with a dot in front."""
    return {name: _content(f"{plan.REGISTERED}/{name}") for name in _listed(plan.REGISTERED) if not name.startswith(".")}


def _have(gone: t.Container[str], directory: str) -> list[str]:
    """The agent has what is committed, but for what is about to go; what fails, as texts."""
    try:
        wanted = {name: content for name, content in _committed().items() if name not in gone}
        there = {name for name in _listed(directory) if name.startswith(_OURS)}
        if not wanted and not there:
            return []
        named = {_OURS + name: content for name, content in wanted.items()}
        other = [name for name, content in named.items() if name not in there or not _is(f"{directory}/{name}", content)]
        if other or there - named.keys():
            # Also where somebody else has changed or removed them, of which it was not told.
            files.remove(_READ)
        for name in other:
            # The agent has a user of its own, and there is nothing in it that others must not read.
            files.replace(f"{directory}/{name}", named[name], 0o644)
        for name in there - named.keys():
            files.remove(f"{directory}/{name}")
        _tell(jsontext.dumps({name: hashlib.sha256(content).hexdigest() for name, content in sorted(wanted.items())}))
    except (CommandFailed, OSError) as error:
        return [f"the Consul agent could not be told of this robot's services: {error}"]
    return []


def _tell(digests: str) -> None:
    """Its unit asks it to read its directory anew by a signal, for which no token is needed. One that is down does so when it starts."""
    if _is(_READ, digests.encode("utf-8")) or not systemd.up(systemd.show([UNIT]).get(UNIT, {})):
        return
    systemd.need(["systemctl", "try-reload-or-restart", UNIT], timeout=90)
    files.replace(_READ, digests.encode("utf-8"))


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _is(path: str, content: bytes) -> bool:
    """Whether a file has this content. The agent's user may have put anything in its place."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(file, "rb") as stream:
        return stat.S_ISREG(os.fstat(file).st_mode) and stream.read(len(content) + 1) == content
