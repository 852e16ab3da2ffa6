# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the demo what a playbook is doing and what it changed, one JSON document a line; Ansible's own output stays as it is."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: demo_events
type: notification
short_description: Plays, tasks and the final counts as JSON lines
description: Written to the file descriptor that DEMO_EVENTS names.
"""


class CallbackModule(CallbackBase):
    """Three events are enough: a play, a task, the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "demo_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        """The descriptor is inherited."""
        super().__init__()
        self.descriptor = int(os.environ["DEMO_EVENTS"])

    def tell(self, **event):
        """One line in one write."""
        os.write(self.descriptor, json.dumps(event).encode() + b"\n")

    def v2_playbook_on_play_start(self, play):
        """A play begins."""
        self.tell(play=play.get_name())

    def v2_playbook_on_task_start(self, task, **_options):
        """A task begins."""
        self.tell(task=task.get_name())

    def v2_playbook_on_stats(self, stats):
        """The counts of all robots."""
        self.tell(stats={host: stats.summarize(host) for host in sorted(stats.processed)})
