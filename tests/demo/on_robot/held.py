# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the data centre: the readings of each instance that PostgreSQL, the API and the gRPC service really hold."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import grpc

ROWS = """SELECT coalesce(json_agg(held), '[]') FROM
    (SELECT host, instance, count(*), max(at)::time(0) AS last FROM readings GROUP BY host, instance) held"""


def postgresql():
    """Asked as the database's own administrator, on its socket."""
    command = ("runuser", "-u", "postgres", "--", "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname=readings", "-c", ROWS)
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd="/").stdout)


def api():
    """Asked on loopback, beside the proxy."""
    with urllib.request.urlopen("http://127.0.0.1:8080/readings", timeout=5) as reply:
        return json.load(reply)


def telemetry():
    """Asked on loopback, beside the proxy."""
    with grpc.insecure_channel("127.0.0.1:9090") as channel:
        return json.loads(channel.unary_unary("/telemetry.Telemetry/Count")(b"{}", timeout=5))


print(json.dumps({"postgresql": postgresql(), "api": api(), "telemetry": telemetry()}))
