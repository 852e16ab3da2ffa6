# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A robot whose clock is wrong, for which it needs a kernel of its own."""

from __future__ import annotations

import pytest

from tests.integration.provision.harness import Ansible
from tests.integration.system.conftest import VM

pytestmark = pytest.mark.vm


@pytest.mark.parametrize(("seconds", "words"), [(3600, "s ahead of"), (-3600, "s behind")])
def test_a_wrong_clock_is_refused_before_anything_is_installed(fleet, seconds, words):
    fleet.ssh(VM, f"date -s @$(($(date +%s) + {seconds}))")
    try:
        run = Ansible(fleet).agent(VM)
        run.refused(f"{VM}: its clock is 3", words, "that of the SPIRE server server1", "Set it right, with timedatectl or chrony")
        assert fleet.ssh(VM, "ls -d /etc/spire 2>/dev/null", check=False) == ""
    finally:
        fleet.ssh(VM, f"date -s @$(($(date +%s) - {seconds}))")
