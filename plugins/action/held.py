# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action is plugin_utils/actions/held.py; its documentation is modules/held.py."""

from __future__ import annotations

from ..plugin_utils.bytecode import load

ActionModule = load("plugin_utils.actions.held").ActionModule
