# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tell``: groups hear where a service of another job is now. Files that follow it are all that changes; their own job need not be there.

A file comes before what the ledger has of it. So a power cut in between leaves a file that is told of once more, and never one of which
the ledger knows better.
"""

from __future__ import annotations

from ..change.difference import Contents
from ..dns import units as dns_units
from ..mesh import known
from ..resources import kinds
from ..say.errors import Refusal
from ..state.lock import Lock
from ..system.observe import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..change.difference import Difference
    from ..change.staging import Following
    from ..plan import Resource
    from ..state.ledger import GroupRecord, JobRecord
    from ..state.robot import Robot

    class _File(t.TypedDict):
        """A file that is to have this content: of which group of which job, by its id and its name."""

        namespace: str
        job: str
        id: str
        path: str
        content: str

    class File(_File, total=False):
        """``was``: what the file had when it was checked. A check itself has none."""

        was: str

    # The record of its job, that of its group, and the resource that it is.
    Place = t.Tuple[JobRecord, GroupRecord, Resource]

    class _Changes(t.TypedDict):
        status: t.Literal["ok"]
        changes: list[str]
        follows: dict[str, Following]
        diff: list[Difference]

    class Told(_Changes):
        """``follows``, and ``diff`` where it was asked for, are those from before; ``mesh`` is what is known afterwards."""

        notices: list[str]
        mesh: known.Known


# Seconds. Whoever asks waits for the answer.
PATIENCE = 3.0
# The other run may know something newer. And this run must not give up a service whose callers it has not told.
OVERTAKEN = "another run has changed this file since this run looked at it; no file of another job was changed; run again"


def answer(robot: Robot, request: t.Mapping[str, t.Any]) -> Told:
    """What would change, in a check; else it has."""
    wanted: list[File] = request["files"]
    if request.get("check"):
        return {**_told(robot, request, wanted), "notices": [], "mesh": known.of(robot)}
    with Lock(robot.runtime, request["who"], "tell", patience=PATIENCE):
        if robot.interrupted():
            raise Refusal(["a switch of this robot was interrupted; deploy its job again, then run again"])
        told = _told(robot, request, wanted)
        for file in wanted:
            _write(robot, file)
        return {**told, "notices": dns_units.settle(), "mesh": known.of(robot)}


def _told(robot: Robot, request: t.Mapping[str, t.Any], wanted: t.Sequence[File]) -> _Changes:
    follows: dict[str, Following] = {}
    changes: list[str] = []
    diff: list[Difference] = []
    overtaken: list[str] = []
    for file in wanted:
        _job, group, resource = _place(robot, file)
        now, content = _now(resource).decode("utf-8", "replace"), file["content"].encode("utf-8")
        if now and now not in (file.get("was", now), file["content"]):
            overtaken.append(f"{file['path']}: {OVERTAKEN}")
        follows[file["path"]] = {"group": group["name"], "follows": resource["follows"], "before": now}
        changes.append(f"change {kinds.label(resource)}")
        if request.get("diff"):
            contents = Contents({"": content})
            before, after = contents.before(resource), contents.after({**resource, "digest": ""})
            diff.append({"before_header": file["path"], "after_header": file["path"], "before": before, "after": after})
    if overtaken:
        raise Refusal(overtaken)
    return {"status": "ok", "changes": changes, "follows": follows, "diff": diff}


def _write(robot: Robot, file: File) -> None:
    job, group, resource = _place(robot, file)
    told: Resource = {**resource, "digest": robot.store.put(file["content"].encode("utf-8"))}
    kinds.of(told).fix(told, robot)
    group["resources"] = [told if each is resource else each for each in group["resources"]]
    robot.ledger.save(job)


def _place(robot: Robot, file: File) -> Place:
    """Raises `Refusal` for what is no file that can be told: nothing else is ever written here."""
    job = robot.ledger.of({"namespace": file["namespace"], "name": file["job"]})
    group = job["groups"].get(file["id"])
    for resource in group["resources"] if group else ():
        if group and resource.get("path") == file["path"] and known.follows_others(group, resource):
            return job, group, resource
    raise Refusal([f"{file['path']}: the job {file['namespace']}/{file['job']} has no such file here any more; run again"])


def _now(resource: Resource) -> bytes:
    """What the file has; nothing where somebody has taken it away."""
    try:
        return read(resource["path"])
    except OSError:
        return b""
