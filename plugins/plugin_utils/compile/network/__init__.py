# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How packets get to a group on its robot: ports, pods, and routes between robots.

Which group a connection is with, and by which name it is found, is the mesh's (`mesh/`).
"""
