# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a robot cannot be supplied. It is a file of its own since every run imports it, and few import what downloads."""

from __future__ import annotations


class Refused(Exception):
    """What cannot be had, a text for each artifact."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__()
        self.errors = errors
