# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep readings in a database: `store.py INSTANCE SETTINGS`, with DATABASE_URL, PGUSER and PGPASSWORD as libpq wants them."""

from __future__ import annotations

import os
import socket
import sys

import psycopg2
from readings import patient, readings, say


def main() -> None:
    """Write a row for each reading, and read this instance's rows back."""
    instance, host = int(sys.argv[1]), socket.gethostname()

    def store() -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=5)
        connection.autocommit = True
        cursor = connection.cursor()
        for celsius in readings(sys.argv[2]):
            cursor.execute("INSERT INTO readings (host, instance, celsius) VALUES (%s, %s, %s)", (host, instance, celsius))
            cursor.execute("SELECT count(*), avg(celsius) FROM readings WHERE host = %s AND instance = %s", (host, instance))
            count, mean = cursor.fetchone()
            say(f"wrote {celsius} and read back {count} rows of {host} r{instance}, {mean:.2f} on average")

    patient(store, (psycopg2.Error, OSError))


if __name__ == "__main__":
    main()
