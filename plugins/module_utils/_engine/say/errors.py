# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine says when it does not go on."""

from __future__ import annotations


class Refusal(Exception):
    """Nothing was touched, and this is why: one text per error, all of them at once."""

    def __init__(self, errors):
        super().__init__("; ".join(errors))
        self.errors = list(errors)


class CommandFailed(Exception):
    """A program of the robot that had to work did not."""
