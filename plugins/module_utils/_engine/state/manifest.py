# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A staged release: what a plan wants, with contents by digest, and with what the ledger holds beyond it.

::

    {"release", "who", "keep_data",
     "jobs": [{"namespace", "name", "digest", "before", "base",
               "groups": [{"id", "name", "resources", "needs", "ports", "secrets"}]}]}

``before`` and ``base`` are the digest of the job and the releases of its groups when the release was prepared. A group
that the plan no longer has is in it with no resources, and first: it may hold what the others want (a port).
"""

from __future__ import annotations

import json

from .ledger import known


def build(plan, request, release, ledger, keep):
    """The manifest of a plan. ``keep``: called with each content (bytes), gives its digest."""
    digests = {(job["namespace"], job["name"]): job["digest"] for job in request["jobs"]}
    jobs = [_job(job, digests[job["namespace"], job["name"]], ledger, keep) for job in plan["jobs"]]
    return {"release": release, "who": request["who"], "keep_data": bool(request.get("keep_data")), "jobs": jobs}


def _job(job, digest, ledger, keep):
    record = ledger.of(job)
    wanted = [_group(group, keep) for group in job["groups"]]
    ids = {group["id"] for group in wanted}
    gone = [
        {"id": id, "name": group["name"], "resources": [], "needs": [], "ports": [], "secrets": group["secrets"]}
        for id, group in record["groups"].items()
        if id not in ids
    ]
    return {
        "namespace": job["namespace"],
        "name": job["name"],
        "digest": digest,
        "before": record["digest"],
        "base": base(record),
        "groups": gone + wanted,
    }


def base(record):
    """Which release each group of a job's record is at."""
    return {id: group["release"] for id, group in record["groups"].items()}


def _group(group, keep):
    secrets = keep(json.dumps(group["secrets"]).encode("utf-8")) if group.get("secrets") else None
    return {
        "id": group["id"],
        "name": group["name"],
        "resources": [_resource(resource, keep) for resource in group["resources"]],
        "needs": group["needs"],
        "ports": group["ports"],
        "secrets": secrets,
    }


def _resource(resource, keep):
    if "content" not in resource:
        return resource
    rest = {key: value for key, value in resource.items() if key != "content"}
    return dict(rest, digest=keep(resource["content"].encode("utf-8")))


def groups(manifest):
    """Every (job, group) of a manifest, in the order of the switch."""
    return [(job, group) for job in manifest["jobs"] for group in job["groups"]]


def contents(groups_or_records):
    """The digests of all contents that groups refer to."""
    found = set()
    for group in groups_or_records:
        resources = known(group) if "leftovers" in group else group["resources"]
        found.update(resource["digest"] for resource in resources if "digest" in resource)
        if group["secrets"]:
            found.add(group["secrets"])
    return found
