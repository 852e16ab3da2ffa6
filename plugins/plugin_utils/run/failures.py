# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an action ends that failed: what went wrong is said once.

An exception Ansible would print with the lines of the playbook that called the action, and then once more, as JSON.
"""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.display import Display

# Callbacks that print a failed task's result as one line of JSON. What other callbacks make of it, they find in `msg`.
PRINTS_JSON = ("default", "ansible.builtin.default")
ABOVE = "the reason is above"


class Failed(AnsibleActionFail):
    """A failed task whose message is all that there is to say."""

    omit_exception_key = True

    def __init__(self, text: str, result: t.Mapping[str, t.Any]) -> None:
        AnsibleActionFail.__init__(self, text, result=dict(result))


class Unreachable(AnsibleConnectionFailure):
    """A robot that does not answer."""

    omit_exception_key = True


def failed(text: str, result: t.Mapping[str, t.Any] | None = None, of_run: str = "") -> Failed:
    """The exception that ends a task with this error, which has been printed if nobody else does, and these results. ``of_run`` is what
    to say beside the name of a robot where the error is not that robot's.
    """
    if C.config.get_config_value("DEFAULT_STDOUT_CALLBACK") not in PRINTS_JSON:
        return Failed(f"{text}\n{of_run}" if of_run else text, result or {})
    Display().display(text, color=C.config.get_config_value("COLOR_ERROR"))
    return Failed(f"{ABOVE}; {of_run}" if of_run else ABOVE, result or {})
