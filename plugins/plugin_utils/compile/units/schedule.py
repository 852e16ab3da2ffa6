# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of a job's schedule: a timer for each group, and the service that it starts, which is up as long as a run of the tasks.

systemd starts no unit that is up. So no run overlaps the one before. Times that come meanwhile are passed over (helpers/run_once.sh).
"""

from __future__ import annotations

import typing as t

from ....module_utils._engine import plan
from ...job import cron
from ...job.model.job import Schedule
from ...job.model.vocabulary import Hook
from .. import helpers, systemd
from ..helpers import Call
from ..site.site import Site
from . import hooks
from .service import Unit

if t.TYPE_CHECKING:
    from ....module_utils._engine.plan import Expected

# systemd knows it without a file.
_UTC = "UTC"


def units(site: Site) -> list[Unit]:
    """The units of the schedule at this site; none for a job without one."""
    schedule = site.job.schedule
    return [_run(site), _timer(site, schedule)] if schedule else []


def _run(site: Site) -> Unit:
    # The others end with them: sidecars, and the last hooks. A prestart hook runs again the next time.
    tasks = [task for instance in hooks.instances(site) for task in instance.tasks]
    waited = [task.unit for task in tasks if task.hook is None or (task.step and task.hook is Hook.POSTSTART)]
    others = [task.unit for task in reversed(tasks) if task.unit not in waited]
    call = Call(helpers.RUN_ONCE, (site.timer, *waited, "--", *others))
    sections: dict[str, systemd.Directives] = {
        "Unit": [("Description", systemd.text(site.title("run"))), ("PartOf", site.target)],
        "Service": [
            ("Type", "oneshot"),
            ("TimeoutStartSec", "infinity"),
            ("ExecStart", systemd.as_root(call.command(site.bin))),
        ],
    }
    return Unit(site.run, (plan.unit(site.run, systemd.unit(sections), called="run"),), frozenset([call.helper]))


def _timer(site: Site, schedule: Schedule) -> Unit:
    sections = {
        "Unit": [("Description", systemd.text(site.title("schedule"))), ("PartOf", site.target)],
        "Timer": [
            *(("OnCalendar", each) for each in calendar(schedule)),
            ("AccuracySec", "1s"),
            # What was missed while the robot was off is made up for, once.
            ("Persistent", "yes"),
            ("Unit", site.run),
        ],
    }
    content = plan.unit(site.timer, systemd.unit(sections), run="always", called="schedule")
    return Unit(site.timer, (content,), expects=tuple(_zone(site, schedule)))


def _zone(site: Site, schedule: Schedule) -> t.Iterator[Expected]:
    if schedule.time_zone != _UTC:
        yield plan.expected("zone", schedule.time_zone, site.where("schedule.timeZone"))


def calendar(schedule: Schedule) -> list[str]:
    """The times of a schedule as OnCalendar= has them, systemd.time(7): several of these fire at the times of each."""
    times = cron.times(schedule.cron)
    week = ",".join(cron.WEEKDAYS[day].capitalize() for day in times.weekdays) if len(times.weekdays) < len(cron.WEEKDAYS) else ""
    months, days = _numbers(times.months, 12), _numbers(times.days, 31)
    clock = f"{_numbers(times.hours, 24)}:{_numbers(times.minutes, 60)}:00 {schedule.time_zone}"
    dates = [("", f"*-{months}-{days}"), (week, f"*-{months}-*")] if times.either else [(week, f"*-{months}-{days}")]
    return [" ".join(part for part in (on, date, clock) if part) for on, date in dates]


def _numbers(numbers: t.Sequence[int], of: int) -> str:
    return "*" if len(numbers) == of else ",".join(f"{number:02}" for number in numbers)
