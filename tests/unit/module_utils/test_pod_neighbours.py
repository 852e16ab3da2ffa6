# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else manages a robot's network is told about pods once, where it runs, and no longer when there are none."""

from __future__ import annotations

import pathlib

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods.neighbours import Neighbours

MANAGER = "/etc/NetworkManager/conf.d/k8s4r.conf"
NETWORKD = "/etc/systemd/network/10-k8s4r.network"


def test_who_does_not_run_is_told_nothing(tmp_path: pathlib.Path) -> None:
    assert Neighbours(str(tmp_path)).ensure() == []
    assert list(tmp_path.iterdir()) == []


def test_who_runs_is_told_once_and_then_it_is_taken_back(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run/NetworkManager").mkdir(parents=True)
    (tmp_path / "run/systemd/netif").mkdir(parents=True)
    (tmp_path / "run/systemd/netif/state").touch()
    neighbours = Neighbours(str(tmp_path))
    assert neighbours.ensure() == [MANAGER, NETWORKD]
    assert neighbours.ensure() == []
    assert "interface-name:k8s4r*" in (tmp_path / MANAGER[1:]).read_text()
    assert "Name=k8s4r*" in (tmp_path / NETWORKD[1:]).read_text()
    assert neighbours.remove() == [MANAGER, NETWORKD]
    assert neighbours.remove() == []
    assert not (tmp_path / MANAGER[1:]).exists()
