# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixed places on a robot that the engine need not know; the others are in the wire format (`_engine/plan/`)."""

from __future__ import annotations

# Programs of ours, SPIRE's and Envoy's, as provisioning installs them.
PREFIX = "/opt/k8s4r"
PROGRAMS = f"{PREFIX}/bin"

# SPIRE's configuration and keys.
SPIRE = ("/etc/spire", "/var/lib/spire")
# Where the SPIRE agent's socket is. Proxies alone have business there.
SPIRE_RUNTIME = "/run/spire"

# Where systemd itself looks for a program, unless a unit sets another path.
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
