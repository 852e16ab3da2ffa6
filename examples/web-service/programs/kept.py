# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings in a SQLite file, for the services of the data centre."""

from __future__ import annotations

import collections.abc as c
import contextlib
import sqlite3

FILE = "readings.sqlite"


@contextlib.contextmanager
def table() -> c.Iterator[sqlite3.Connection]:
    """The table in the working directory; what is done with it is one transaction."""
    database = sqlite3.connect(FILE, timeout=10)
    with contextlib.closing(database), database:
        database.execute("CREATE TABLE IF NOT EXISTS readings (host TEXT, instance INTEGER, celsius REAL)")
        yield database


def add(host: str, instance: int, celsius: float) -> None:
    """Keep one reading."""
    with table() as database:
        database.execute("INSERT INTO readings VALUES (?, ?, ?)", (host, instance, celsius))


def counts(host: str | None = None, instance: int | None = None) -> list[dict[str, str | int]]:
    """How many readings there are, by host and instance; None stands for all."""
    question = (
        "SELECT host, instance, count(*) FROM readings WHERE (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR instance = ?2)"
        " GROUP BY host, instance ORDER BY host, instance"
    )
    with table() as database:
        return [dict(zip(("host", "instance", "count"), row)) for row in database.execute(question, (host, instance))]
