# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what on this robot is ours, one file per job.

::

    {"namespace", "name",
     "digest":  the controller's digest of the plan that is wholly committed; null while a group of it is not,
     "groups":  {id: {"name", "release", "committed",
                      "resources": [...],   the last good release; contents by digest, the store holds them
                      "leftovers": [...],   no longer wanted and still there: data that was to be kept, or a removal
                                            that was interrupted
                      "started":   {unit: run digest with which it last started well},
                      "needs": [...], "ports": [...], "secrets": digest of the values that no text may
                                                        show, or null}}}
"""

from __future__ import annotations

import os

from ..say.errors import Refusal
from . import jsonfile

# As job/model/vocabulary.py has it; without re, which an unchanged run does not import.
NAME_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Ledger:
    def __init__(self, directory):
        self.directory = directory

    def path(self, namespace, name):
        if not (valid_name(namespace) and valid_name(name)):
            raise Refusal([f"{namespace!r} and {name!r} are not the namespace and the name of a job"])
        # "@" is in no namespace and no name, so no two jobs meet in one file.
        return f"{self.directory}/{namespace}@{name}.json"

    def of(self, job):
        """The record of a job (whatever has its namespace and name); an empty one where the robot holds nothing of it."""
        namespace, name = job["namespace"], job["name"]
        return jsonfile.load(self.path(namespace, name)) or {"namespace": namespace, "name": name, "digest": None, "groups": {}}

    def group(self, job, id):
        """The record of one group of a job; None where the robot holds nothing of it."""
        return self.of(job)["groups"].get(id)

    def groups(self, jobs):
        """The records of all groups of some jobs."""
        return [group for job in jobs for group in self.of(job)["groups"].values()]

    def jobs(self):
        try:
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        records = [jsonfile.load(os.path.join(self.directory, name)) for name in names if name.endswith(".json") and "@" in name]
        return [record for record in records if record]

    def save(self, record):
        path = self.path(record["namespace"], record["name"])
        if record["groups"]:
            jsonfile.save(path, record)
        else:
            jsonfile.remove(path)


def valid_name(name):
    """Whether a namespace or the name of a job is one; a record elsewhere would not be ours."""
    return isinstance(name, str) and 0 < len(name) <= 63 and NAME_CHARACTERS.issuperset(name) and name[0] not in "._-"


def known(group):
    """Every resource that a group's record says is on the robot."""
    return group["resources"] + group["leftovers"] if group else []
