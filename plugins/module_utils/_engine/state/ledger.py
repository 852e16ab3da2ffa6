# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what on this robot is ours, one file per job."""

from __future__ import annotations

from ..say.errors import Refusal
from ..system import files
from . import formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Need, Port, Resource

    class JobName(t.TypedDict):
        """Namespace and name of a job."""

        namespace: str
        name: str

    class JobState(t.TypedDict):
        """How much of a job the robot has.

        ``empty``: nothing; there is no file then. ``partial``: not all groups of a plan are committed, or there is no
        plan whose groups these are. ``whole``: all of the plan whose digest, as the controller keyed it, is ``plan``;
        else that is the empty text.
        """

        state: t.Literal["empty", "partial", "whole"]
        plan: str

    class GroupRecord(t.TypedDict):
        """The last good release of a group."""

        name: str
        release: str
        committed: float  # seconds since the epoch
        resources: list[Resource]  # contents by digest; the store has them
        leftovers: list[Resource]  # no longer wanted and still there: data that was to be kept, or a removal that was interrupted
        started: dict[str, str]  # {unit: run digest with which it last started well}
        needs: list[Need]
        ports: list[Port]
        secrets: str | None  # digest of the values that no text may show

    class JobRecord(JobName, JobState):
        groups: dict[str, GroupRecord]
        robot: str  # the name of this machine in the inventory of who deployed the job; empty where nobody said it


# As job/model/vocabulary.py has it; without re, which an unchanged run does not import.
ALPHANUMERIC = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
NAME_CHARACTERS = ALPHANUMERIC | set("._-")


class Ledger:
    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._presumed: dict[str, JobRecord] = {}

    def path(self, namespace: str, name: str) -> str:
        if not (valid_name(namespace) and valid_name(name)):
            raise Refusal([f"invalid job: namespace {namespace!r}, name {name!r}"])
        # "@" is in no namespace and no name, so no two jobs meet in one file.
        return f"{self.directory}/{namespace}@{name}.json"

    def of(self, job: JobName) -> JobRecord:
        """The record of a job; an empty one where the robot has nothing of it. Raises `Unread` where neither file nor copy can be."""
        return self.load(job)[0]

    def load(self, job: JobName) -> tuple[JobRecord, formats.Unread | None]:
        """The record of a job, and what is wrong with its file, where it is the copy that was read. Raises `Unread` as `of` does."""
        namespace, name = job["namespace"], job["name"]
        path = self.path(namespace, name)
        if path in self._presumed:
            return self._presumed[path], None
        found: JobRecord | None
        found, problem = formats.load_either(path, "ledger")
        return found or {"namespace": namespace, "name": name, "state": "empty", "plan": "", "groups": {}, "robot": ""}, problem

    def presume(self, record: JobRecord) -> None:
        """Let this be the record of its job, as long as this process lasts: a check must not write it."""
        self._presumed[self.path(record["namespace"], record["name"])] = record

    def group(self, job: JobName, id: str) -> GroupRecord | None:
        """The record of one group of a job; None where the robot has nothing of it."""
        return self.of(job)["groups"].get(id)

    def groups(self, jobs: t.Iterable[JobName]) -> list[GroupRecord]:
        """The records of all groups of some jobs."""
        return [group for job in jobs for group in self.of(job)["groups"].values()]

    def read(self) -> tuple[list[JobRecord], list[formats.Unread]]:
        """The records of all jobs that can be read, and what is wrong with the files of the others."""
        records: list[JobRecord] = []
        unread: list[formats.Unread] = []
        for path in self._paths():
            try:
                record = formats.load_either(path, "ledger")[0]
            except formats.Unread as error:
                unread.append(error)
            else:
                records += [record] if record else []
        return records, unread

    def jobs(self) -> list[str]:
        """All jobs that have a file here, as `namespace/job`."""
        names = [path[len(self.directory) + 1 : -len(".json")] for path in self._paths()]
        return [name.replace("@", "/", 1) for name in names]

    def _paths(self) -> list[str]:
        found = {name[: -len(files.COPY)] if name.endswith(files.COPY) else name for name in files.names(self.directory)}
        # A file that a killed run had half written begins with a dot.
        return [f"{self.directory}/{name}" for name in sorted(found) if name.endswith(".json") and "@" in name]

    def save(self, record: JobRecord) -> None:
        path = self.path(record["namespace"], record["name"])
        if record["groups"]:
            formats.save_twice(path, record)
        else:
            formats.remove_both(path)

    def set_state(self, job: JobName, state: JobState, robot: str = "") -> None:
        """Record how much of a job the robot has; and as which robot, where it was deployed."""
        record: JobRecord = {**self.of(job), "state": state["state"], "plan": state["plan"]}
        if robot:
            record["robot"] = robot
        self.save(record)


def valid_name(name: object) -> bool:
    """Whether a namespace or the name of a job is one; a record elsewhere would not be ours."""
    return isinstance(name, str) and 0 < len(name) <= 63 and NAME_CHARACTERS.issuperset(name) and {name[0], name[-1]} <= ALPHANUMERIC


def state_of(record: JobRecord) -> JobState:
    return {"state": record["state"], "plan": record["plan"]}


def whole(plan: str) -> JobState:
    """All of the plan with this digest."""
    return {"state": "whole", "plan": plan}


def known(group: GroupRecord | None) -> list[Resource]:
    """Every resource that is on the robot by a group's record, in the order in which they are made. Leftovers are written down in the
    order in which they go.
    """
    return group["resources"] + group["leftovers"][::-1] if group else []
