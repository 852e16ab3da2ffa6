# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain role's six units and six files, written for pyinfra: read by its program, never imported."""

from __future__ import annotations

import io

from pyinfra.operations import files, systemd

UNIT = """\
[Unit]
Description=Plain task {number}

[Service]
EnvironmentFile=/etc/pyinfra-six-{number}.env
ExecStart=/bin/sleep infinity
CPUQuota=10%
MemoryMax=16M
ProtectSystem=strict
Restart=always
User=nobody

[Install]
WantedBy=multi-user.target
"""

for number in range(1, 7):
    environment = files.put(
        name=f"Write the environment file {number}",
        src=io.StringIO(f'GREETING="hello from task {number}"\nNUMBER="{number}"\n'),
        dest=f"/etc/pyinfra-six-{number}.env",
        user="root",
        group="root",
        mode="600",
    )
    unit = files.put(
        name=f"Write the unit {number}",
        src=io.StringIO(UNIT.format(number=number)),
        dest=f"/etc/systemd/system/pyinfra-six-{number}.service",
        user="root",
        group="root",
        mode="644",
    )
    systemd.service(
        name=f"Run the unit {number}, now and at boot",
        service=f"pyinfra-six-{number}.service",
        running=True,
        enabled=True,
        daemon_reload=unit.changed,
    )
