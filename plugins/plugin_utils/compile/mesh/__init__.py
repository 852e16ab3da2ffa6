# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which groups may talk to which, and how they find each other: the proxy, its connections, identities and peers, discovery
and ingress, names, and what is in Consul.

Ports and addresses on the robot are the network's (`network/`).
"""
