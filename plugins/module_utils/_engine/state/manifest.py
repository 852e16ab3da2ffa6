# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a robot, and a staged release: what a plan wants, with contents by digest, and with what the ledger has beyond it."""

from __future__ import annotations

from ..say import jsontext
from . import ledger as ledgers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import GroupPlan, JobPlan, Need, Port, Resource, RobotPlan
    from .ledger import GroupRecord, JobName, JobRecord, JobState, Ledger

    class _Asked(t.TypedDict):
        namespace: str
        name: str
        digest: str  # of the job's plan, keyed by the controller

    class JobRequest(_Asked, total=False):
        empty: bool  # whether the robot shall have nothing of the job

    class _Prepare(t.TypedDict):
        jobs: list[JobRequest]
        who: str

    class PrepareRequest(_Prepare, total=False):
        """What ``prepare`` is asked; ``plan`` only when the robot has answered that it needs it."""

        assumptions: dict[str, str]
        mesh: str  # by its digest, what the controller has in mind of what groups here serve and call; only where that matters
        check: bool
        diff: bool
        keep_data: bool
        plan: RobotPlan
        robot: str  # the name of this machine in the inventory
        name_jobs: bool  # whether the answer `unchanged` is to name the jobs that are there; a removal shows them where it finds nothing
        refresh: bool  # whether addresses are asked again that were asked before
        attempt: str  # the name of the release that the plan becomes; the same where a request is sent again
        mended: list[str]  # added by the robot: what it found damaged, and put right, when the request came

    class ManifestGroup(t.TypedDict):
        """A group as it shall be. One that the plan no longer has is in the manifest with no resources."""

        id: str
        name: str
        resources: list[Resource]
        needs: list[Need]
        ports: list[Port]
        secrets: str | None  # digest of the values that no text may show

    class ManifestJob(JobName):
        digest: str  # of its plan, as the controller keyed it
        before: JobState  # when the release was prepared
        base: dict[str, str]  # {group: release that it was at then, and what it had been told since}
        groups: list[ManifestGroup]  # those that go are first: they may use what the others want (a port)

    class Manifest(t.TypedDict):
        release: str
        who: str
        robot: str  # the name of this machine in the inventory; empty where it is not known
        keep_data: bool
        jobs: list[ManifestJob]

    Keep = t.Callable[[bytes], str]


def build(request: PrepareRequest, release: str, ledger: Ledger, keep: Keep, begun: t.Sequence[Manifest] = ()) -> Manifest:
    """The manifest of a request's plan. ``keep``: called with each content, gives its digest. ``begun``: releases whose switch has not
    come to its end. Before this one is switched to, that end may bring groups of theirs into the ledger.
    """
    digests = {(job["namespace"], job["name"]): job["digest"] for job in request["jobs"]}
    jobs = [_job(job, digests[job["namespace"], job["name"]], ledger, keep, begun) for job in request["plan"]["jobs"]]
    robot, keep_data = request.get("robot", ""), bool(request.get("keep_data"))
    return {"release": release, "who": request["who"], "robot": robot, "keep_data": keep_data, "jobs": jobs}


def _job(job: JobPlan, digest: str, ledger: Ledger, keep: Keep, begun: t.Sequence[Manifest]) -> ManifestJob:
    record = ledger.of(job)
    wanted = [_group(group, keep) for group in job["groups"]]
    ids = {group["id"] for group in wanted}
    there: dict[str, ManifestGroup | GroupRecord] = {
        group["id"]: group
        for manifest in begun
        for other, group in groups(manifest)
        if (other["namespace"], other["name"]) == (job["namespace"], job["name"])
    }
    there.update(record["groups"])
    gone = [nothing(id, group["name"], group["secrets"]) for id, group in there.items() if id not in ids]
    return {
        "namespace": job["namespace"],
        "name": job["name"],
        "digest": digest,
        "before": ledgers.state_of(record),
        "base": base(record),
        "groups": gone + wanted,
    }


def nothing(id: str, name: str, secrets: str | None = None) -> ManifestGroup:
    """A group of which nothing shall be there."""
    return {"id": id, "name": name, "resources": [], "needs": [], "ports": [], "secrets": secrets}


def last_good(id: str, record: GroupRecord) -> ManifestGroup:
    """A group as the ledger has it."""
    return {
        "id": id,
        "name": record["name"],
        "resources": record["resources"],
        "needs": record["needs"],
        "ports": record["ports"],
        "secrets": record["secrets"],
    }


def base(record: JobRecord) -> dict[str, str]:
    """Which release each group of a job's record is at, and what files have that `tell` may have changed since: by their digests."""
    return {
        id: " ".join([group["release"], *(resource["digest"] for resource in group["resources"] if resource.get("follows"))])
        for id, group in record["groups"].items()
    }


def _group(group: GroupPlan, keep: Keep) -> ManifestGroup:
    return {
        "id": group["id"],
        "name": group["name"],
        "resources": [staged(resource, keep) for resource in group["resources"]],
        "needs": group["needs"],
        "ports": group["ports"],
        "secrets": keep(jsontext.dumps(group["secrets"]).encode("utf-8")) if group.get("secrets") else None,
    }


def staged(resource: Resource, keep: Keep) -> Resource:
    """A resource with the digest of its content, if it has one, in place of the content."""
    if "content" not in resource:
        return resource
    found: Resource = {**resource, "digest": keep(resource["content"].encode("utf-8"))}
    del found["content"]
    return found


def groups(manifest: Manifest) -> list[tuple[ManifestJob, ManifestGroup]]:
    """Every job and group of a manifest, in the order of the switch."""
    return [(job, group) for job in manifest["jobs"] for group in job["groups"]]


def part(manifest: Manifest, ids: t.Container[str]) -> Manifest:
    """A manifest with these groups alone."""
    jobs: list[ManifestJob] = [{**job, "groups": [group for group in job["groups"] if group["id"] in ids]} for job in manifest["jobs"]]
    return {**manifest, "jobs": [job for job in jobs if job["groups"]]}


def contents(resources: t.Iterable[Resource], group: ManifestGroup | GroupRecord) -> set[str]:
    """The digests of all contents that a group and resources of it refer to."""
    found = {resource["digest"] for resource in resources if "digest" in resource}
    return found | {group["secrets"]} if group["secrets"] else found
