# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a job, which its controller keys: a part for its plan, and one for the registration entries that the plan needs."""

from __future__ import annotations

# Between the two. Digests that older versions made have no second part.
AND_ENTRIES = "."


def of_both(plan: str, entries: str) -> str:
    return f"{plan}{AND_ENTRIES}{entries}"


def of_entries(digest: str) -> str:
    """Empty where the job needs none."""
    return digest.partition(AND_ENTRIES)[2]
