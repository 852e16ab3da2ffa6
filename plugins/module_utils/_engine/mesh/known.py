# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the groups of this robot serve, what they call, and which pods they have, as the ledger has it: runs of other jobs have to know.

The controller remembers it, and a run says what it has in mind. That is compared here, by a digest which every such run waits for.
"""

from __future__ import annotations

import os

from .. import plan
from ..say import jsontext
from ..system import files, own

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.ledger import GroupRecord, JobRecord
    from ..state.robot import Robot

    class Served(t.TypedDict):
        """A service by its name; ``terms`` are as in `plan.port`."""

        name: str
        port: int
        terms: t.Mapping[str, t.Any]

    class Called(t.TypedDict):
        """A file with what is known of a service of another group. A file of which the group has a copy of its own follows the service, and
        can be written without its job; what was rendered with it cannot.
        """

        namespace: str
        job: str
        group: str
        id: str  # of the group
        path: str
        follows: str
        sha256: str  # of the content, empty where it is not known; or what was seen of the service when the text was rendered
        pods: bool  # whether the group is in pods

    class Pod(t.TypedDict):
        """A pod of a group by the latter's full name: what other robots must know to let it in, or to know its name."""

        group: str
        name: str
        address: str
        address6: str  # empty where pods here have none
        reach: list[str]  # full names of the groups whose pods it lets in

    class Known(t.TypedDict):
        """``digest``: of the rest, empty where there is nothing."""

        digest: str
        serves: list[Served]
        calls: list[Called]
        pods: list[Pod]


def digest(robot: Robot) -> str:
    """That of all that is known. It is kept in memory until a file of the ledger is another one, or another engine reads them."""
    files_seen = _seen(robot.ledger.directory)
    if not files_seen:
        return ""
    seen = [os.path.basename(os.path.realpath(own.engine_home())), *files_seen]
    path = robot.runtime + "/mesh.json"
    try:
        with open(path, encoding="utf-8") as stream:
            kept = jsontext.loads(stream.read())
        if kept["seen"] == seen:
            return str(kept["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = of(robot)["digest"]
    _keep(path, {"seen": seen, "digest": found})
    return found


def of(robot: Robot) -> Known:
    """All of it, in an order that stays the same."""
    records, _unread = robot.ledger.read()
    serves: list[Served] = []
    calls: list[Called] = []
    pods: list[Pod] = []
    for record in records:
        for id, group in sorted(record["groups"].items()):
            serves += _served(group)
            calls += _called(robot, record, id, group)
            pods += _pods(robot, group)
    text = jsontext.dumps({"serves": serves, "calls": calls, "pods": pods})
    is_any = serves or calls or pods
    return {"digest": robot.digest(text.encode("utf-8")) if is_any else "", "serves": serves, "calls": calls, "pods": pods}


def follows_others(group: GroupRecord, resource: Resource) -> bool:
    """Whether a resource of a group is a file that follows one service, of another group, and that anyone may know."""
    name = resource.get("follows", "")
    shown = resource["kind"] == "file" and "digest" in resource and not resource.get("secret")
    return bool(name) and shown and " " not in name and name.rpartition("/")[0] != group["name"]


def _served(group: GroupRecord) -> list[Served]:
    ports = [port for port in group["ports"] if "terms" in port]
    return [{"name": name, "port": port["port"], "terms": port["terms"]} for port in ports for name in port.get("serves", ())]


def _called(robot: Robot, record: JobRecord, id: str, group: GroupRecord) -> list[Called]:
    pods = bool(_pod_files(group))

    def called(resource: Resource, service: str, sha256: str) -> Called:
        return {
            "namespace": record["namespace"],
            "job": record["name"],
            "group": group["name"],
            "id": id,
            "path": resource["path"],
            "follows": service,
            "sha256": sha256,
            "pods": pods,
        }

    found: list[Called] = []
    for resource in group["resources"]:
        if follows_others(group, resource):
            found.append(called(resource, resource["follows"], _sha256(robot, resource["digest"])))
        found += [called(resource, name, seen) for name, seen in sorted(resource.get("saw", {}).items())]
    return found


def _pods(robot: Robot, group: GroupRecord) -> t.Iterator[Pod]:
    """A pod whose file is damaged is told of when the next run has mended it."""
    for resource in _pod_files(group):
        content = _content(robot, resource["digest"])
        if content is None:
            continue
        try:
            file = jsontext.loads(content.decode("utf-8"))
            yield {
                "group": group["name"],
                "name": file["name"],
                "address": file["address"],
                "address6": file.get("address6", ""),
                "reach": file["reach"],
            }
        except (ValueError, KeyError, TypeError):
            continue


def _pod_files(group: GroupRecord) -> list[Resource]:
    return [resource for resource in group["resources"] if resource.get("path", "").startswith(plan.PODS + "/")]


def _sha256(robot: Robot, digest: str) -> str:
    import hashlib

    content = _content(robot, digest)
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _content(robot: Robot, digest: str) -> bytes | None:
    """None where it cannot be read."""
    from ..state.formats import Damaged

    try:
        return robot.store.read(digest)
    except (OSError, Damaged):
        return None


def _seen(directory: str) -> list[list[t.Any]]:
    """By what a file of the ledger is known to be the same one: each is replaced by another one when it changes."""
    try:
        with os.scandir(directory) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".json")]
    except OSError:
        return []
    return sorted([name, state.st_ino, state.st_mtime_ns, state.st_size] for name, state in files)


def _keep(path: str, found: t.Mapping[str, t.Any]) -> None:
    try:
        files.replace(path, jsontext.dumps(found).encode("ascii"))
    except OSError:
        # Without it, the next run finds out once more.
        return
