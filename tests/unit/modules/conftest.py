# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run whole, in this process: arguments in, the JSON that Ansible would read out."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args


@pytest.fixture
def call(capsys):
    """Run a module's main with options; ``check`` is Ansible's check mode."""

    def run(main, check=False, **options):
        with patch_module_args({**options, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run
