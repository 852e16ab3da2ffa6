# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times of cron, and what systemd gets for them."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units.schedule import calendar
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job import cron
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Schedule


@pytest.mark.parametrize(
    ("text", "calendars"),
    [
        ("* * * * *", ["*-*-* *:*:00 UTC"]),
        ("*/15 6-8 * * *", ["*-*-* 06,07,08:00,15,30,45:00 UTC"]),
        ("5/20 0 * * *", ["*-*-* 00:05,25,45:00 UTC"]),
        ("0 0,12 1-10/3 Jan,dec *", ["*-01,12-01,04,07,10 00,12:00:00 UTC"]),
        ("30 4 * * MON-FRI", ["Mon,Tue,Wed,Thu,Fri *-*-* 04:30:00 UTC"]),
        ("30 4 * * 7", ["Sun *-*-* 04:30:00 UTC"]),
        ("30 4 * * 5-7", ["Sun,Fri,Sat *-*-* 04:30:00 UTC"]),
        ("30 4 * * 0-7", ["*-*-* 04:30:00 UTC"]),
        # Either day is enough, unless one field has a star.
        ("0 0 13 * fri", ["*-*-13 00:00:00 UTC", "Fri *-*-* 00:00:00 UTC"]),
        ("0 0 */2 2 fri", ["Fri *-02-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 00:00:00 UTC"]),
        ("0 0 29 2 *", ["*-02-29 00:00:00 UTC"]),
        ("0 0 31 2-3 *", ["*-02,03-31 00:00:00 UTC"]),
        # The day of the month never comes, and that of the week does.
        ("0 0 31 2 mon", ["*-02-31 00:00:00 UTC", "Mon *-02-* 00:00:00 UTC"]),
        ("@daily", ["*-*-* 00:00:00 UTC"]),
        (" @Weekly ", ["Sun *-*-* 00:00:00 UTC"]),
        ("@hourly", ["*-*-* *:00:00 UTC"]),
        ("@yearly", ["*-01-01 00:00:00 UTC"]),
    ],
)
def test_a_time_of_cron_is_one_of_systemd(text, calendars):
    assert calendar(Schedule(cron=text)) == calendars


def test_a_time_is_of_its_zone():
    assert calendar(Schedule(cron="@monthly", time_zone="America/Argentina/Ushuaia")) == ["*-*-01 00:00:00 America/Argentina/Ushuaia"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 fields"),
        ("@fortnightly", "has 1 field"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("@reboot", "a schedule is of times, and a boot is none"),
        ("60 * * * *", "there is no such minute"),
        ("* 24 * * *", "there is no such hour"),
        ("* * 0 * *", "there is no such day of the month"),
        ("* * * 13 *", "there is no such month"),
        ("* * * mon *", "there is no such month"),
        ("* * * * 8", "there is no such day of the week"),
        ("* * * * monday", "there is no such day of the week"),
        ("10-5 * * * *", "a range of the minute ends before it begins"),
        ("* * * * fri-mon", "a range of the day of the week ends before it begins"),
        ("*/0 * * * *", "a step of the minute is 0"),
        ("1,,2 * * * *", "the minute is no list of numbers, ranges and steps"),
        ("*-5 * * * *", "the minute is no list of numbers, ranges and steps"),
        ("1.5 * * * *", "the minute is no list of numbers, ranges and steps"),
        ("* * L * *", "there is no such day of the month"),
        ("\u0665 * * * *", "the minute is no list of numbers, ranges and steps"),
        ("0 0 30 2 *", "no such day ever comes"),
        ("0 0 31 4,6,9,11 *", "no such day ever comes"),
    ],
)
def test_what_is_no_time_is_refused(text, reason):
    with pytest.raises(cron.Odd) as odd:
        cron.times(text)
    assert odd.value.reason == reason
    assert odd.value.remedy
