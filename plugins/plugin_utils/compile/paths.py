# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed places on a robot. What the engine knows too comes from the wire format (`plan.py`)."""

from __future__ import annotations

# Where provisioning puts Envoy and SPIRE.
PROGRAMS = "/opt/k8s4r/bin"
