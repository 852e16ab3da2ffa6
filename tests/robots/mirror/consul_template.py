# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real consul-template, built from its Go module, to compare with."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.robots.host import RobotsError, cache_dir
from tests.robots.mirror.spire import command, go

VERSION = "0.39.1"
MODULE = f"github.com/hashicorp/consul-template@v{VERSION}"
MODULE_SUM = "h1:MfhPoNENzCVSEXtE7CnIm3JkCzM9K0I7rcJYofm1BYY="


def program() -> Path:
    """The program; built the first time, which takes half a minute."""
    found = cache_dir("consul-template", VERSION) / "consul-template"
    if not found.exists():
        compiler = go()
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
        module = json.loads(command([compiler, "mod", "download", "-json", MODULE], environment))
        if module.get("Sum") != MODULE_SUM:
            raise RobotsError(f"{MODULE} has the sum {module.get('Sum')}, expected is {MODULE_SUM}")
        made = found.with_suffix(".new")
        command([compiler, "build", "-trimpath", "-o", str(made), "."], environment, module["Dir"])
        made.rename(found)
    return found
