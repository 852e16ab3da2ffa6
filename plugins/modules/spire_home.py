#!/usr/bin/python
# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the user that a SPIRE component runs as, and the directories that it reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spire_home
short_description: Make the user and the directories of a SPIRE component
version_added: 0.1.0
author: k8s4r.robot contributors (@k8s4r)
description:
  - Makes a system user without a shell, with a group of the same name, and root's directories that this group may read. One call
    does what would take four of other modules.
  - A user of that name that is there already stays as it is.
options:
  user:
    description: The name of the user and of its group.
    type: str
    required: true
  comment:
    description: What a list of the machine's users says of it.
    type: str
    default: ""
  home:
    description: Absolute path of its home directory, which is not made.
    type: path
    required: true
  directories:
    description: The directories, each after the one that it is in.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      group:
        description: The group that it belongs to. The owner is root.
        type: str
        default: root
      mode:
        description: Its mode, as an octal number in quotes.
        type: str
        default: "0755"
attributes:
  check_mode:
    description: Reports whether anything would be made.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
"""

EXAMPLES = r"""
- name: Make what the SPIRE agent needs before it has a key
  k8s4r.robot.spire_home:
    user: spire-agent
    home: /var/lib/spire/agent
    directories:
      - path: /etc/spire
      - path: /etc/spire/agent
        group: spire-agent
        mode: "0750"
"""

RETURN = r"""
made:
  description: The user and the directories that were made or given their owner and mode, or would be in check mode.
  type: list
  elements: str
  returned: success
openssl:
  description: Whether the machine has the program C(openssl), with which the component's keys are made.
  type: bool
  returned: success
"""

import grp
import os
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.k8s4r.robot.plugins.module_utils._provision.files import FileError, make_directory, octal, options, owned

NO_SHELL = "/usr/sbin/nologin"


def make_user(module: AnsibleModule, user: str) -> None:
    """Make the user, and its group if there is none of that name."""
    try:
        grp.getgrnam(user)
        group = ["--gid", user]
    except KeyError:
        group = ["--user-group"]
    described = ["--comment", module.params["comment"], "--home-dir", module.params["home"], "--shell", NO_SHELL]
    rc, _out, err = module.run_command(["useradd", "--system", "--no-create-home", *described, *group, user])
    if rc != 0:
        raise FileError(f"the user {user} cannot be made: {err.strip() or f'useradd ends with {rc}'}")


def has_user(user: str) -> bool:
    """Return whether there is a user of this name."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def right(directory: t.Mapping[str, t.Any]) -> bool:
    """Return whether a directory is there, with its owner and mode."""
    return os.path.isdir(directory["path"]) and owned(directory["path"], directory["group"], octal(directory["mode"]))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "comment": {"type": "str", "default": ""},
            "home": {"type": "path", "required": True},
            "directories": {"type": "list", "elements": "dict", "default": [], "options": options("0755")},
        },
        supports_check_mode=True,
    )
    user, made = module.params["user"], []
    new = not has_user(user)
    try:
        if new:
            made.append(user)
            if not module.check_mode:
                make_user(module, user)
        for wanted in module.params["directories"]:
            # A group that a check would make is not there to compare with.
            if (new and module.check_mode) or not right(wanted):
                made.append(wanted["path"])
                if not module.check_mode:
                    make_directory(module, wanted["path"], wanted["group"], octal(wanted["mode"]))
    except (FileError, OSError) as error:
        module.fail_json(msg=f"what the user {user} needs cannot be made: {error}")
    module.exit_json(changed=bool(made), made=made, openssl=module.get_bin_path("openssl") is not None)


if __name__ == "__main__":
    main()
