# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository holds that is generated from the job model. ``PYTHONPATH=build python -m tests.unit.plugin_utils.job.generated``
writes it anew.
"""

from __future__ import annotations

import pathlib

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.publish import reference, schema

ROOT = pathlib.Path(__file__).resolve().parents[4]
FILES = {
    ROOT / "schemas" / "job.schema.json": schema.text,
    ROOT / "docs" / "job-format.md": reference.job_page,
    ROOT / "docs" / "task-format.md": reference.task_page,
}

if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text(), encoding="utf-8")
