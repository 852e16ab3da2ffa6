# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a job's schedule."""

from __future__ import annotations

import collections.abc as c

from .. import cron
from ..errors import Finding, Mistake, quoted
from ..model.job import Job
from ..model.vocabulary import JobType


def errors(job: Job, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """What is wrong with the schedule of a job, at `path`. ``wrong``: paths that have an error already."""
    if job.schedule is None:
        return
    if job.type is not JobType.BATCH and f"{path.removesuffix('schedule')}type" not in wrong:
        yield path, Mistake(f"a job of type {job.type.value} keeps running", "write type: batch, or remove schedule")
    if job.schedule.cron is not None:
        try:
            cron.times(job.schedule.cron)
        except cron.Odd as odd:
            yield f"{path}.cron", Mistake(odd.reason, odd.remedy, value=quoted(job.schedule.cron))
    if job.schedule.prohibit_overlap is False:
        why = "systemd starts no unit that still runs, so a run never overlaps the one before"
        yield f"{path}.prohibitOverlap", Mistake(why, "remove it", value="false")
