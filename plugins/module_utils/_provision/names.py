# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a robot may be called that has a SPIRE agent."""

from __future__ import annotations

# It is a segment of the path of the agent's ID (SPIFFE-ID, 2.2), and the common name of its node certificate (RFC 5280, A.1:
# ub-common-name). What it begins with, every robot's name does.
AGENT = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
ALLOWED = "1 to 64 characters of A-Z a-z 0-9 . _ -, and begins with none of . -"
