# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an engine of containers fails."""

from __future__ import annotations


class Unavailable(Exception):
    """It gives no answer."""


class Silent(Unavailable):
    """It was reached, and gives no answer."""


class Refused(Exception):
    """Its answer is an error; its words."""
