# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robots for pyinfra, out of the inventory that `BENCH_INVENTORY` names: the same addresses, key and host keys."""

from __future__ import annotations

import json
import os
import pathlib

path = pathlib.Path(os.environ["BENCH_INVENTORY"])
everything = json.loads(path.read_text(encoding="utf-8"))["all"]

robots = [
    (
        values["ansible_host"],
        {
            "ssh_user": everything["vars"]["ansible_user"],
            "ssh_key": everything["vars"]["ansible_ssh_private_key_file"],
            "ssh_known_hosts_file": str(path.with_name("known_hosts")),
            "ssh_strict_host_key_checking": "yes",
        },
    )
    for values in everything["children"]["robots"]["hosts"].values()
]
