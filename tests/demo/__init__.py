# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: the job of examples/web-service on three container robots, and proof of what runs there.

``python3 -m tests.demo up | status | ssh | down``. What is shown at the end is asked of the robots; nothing of it is known
here beforehand. Only the standard library is needed, and ansible-core in the same environment.
"""
