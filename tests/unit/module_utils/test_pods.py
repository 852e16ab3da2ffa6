# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robot knows of its pods."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.pods import files

POD: dict[str, t.Any] = {
    "name": "fleet-web-0a1b2c3d-r0",
    "group": "default/fleet/web",
    "address": "172.26.64.7",
    "range": "172.26.64.0/20",
    "reach": ["default/fleet/api"],
    "ports": [{"address": "0.0.0.0", "port": 20345, "to": 8080, "protocol": "tcp"}],
    "hosts": {"db": "10.0.0.9"},
    "dns": {"servers": [], "searches": []},
}


def put(directory: pathlib.Path, name: str, content: object) -> None:
    (directory / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_pods_are_known_by_their_files(tmp_path: pathlib.Path) -> None:
    put(tmp_path, "b", POD)
    put(tmp_path, "a", POD)
    put(tmp_path, ".c", POD)
    assert files.described(str(tmp_path)) == {"a": POD, "b": POD}
    assert list(files.described(str(tmp_path))) == ["a", "b"]
    assert files.one("a", str(tmp_path)) == POD
    assert files.one("d", str(tmp_path)) is None
    assert files.described(str(tmp_path / "none")) == {}


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", {**POD, "address": None}, {**POD, "ports": [{"port": 1}]}, {**POD, "reach": 1}, {k: POD[k] for k in POD if k != "dns"}],
)
def test_a_damaged_file_keeps_no_other_pod_from_its_network(tmp_path: pathlib.Path, damaged: object) -> None:
    put(tmp_path, "a", POD)
    put(tmp_path, "b", damaged)
    assert files.described(str(tmp_path)) == {"a": POD}
    assert files.one("b", str(tmp_path)) is None


def test_the_robot_has_the_first_address() -> None:
    assert [files.gateway(range) for range in ("172.26.64.0/20", "10.1.255.0/24", "10.9.8.7/16")] == [
        "172.26.64.1",
        "10.1.255.1",
        "10.9.0.1",
    ]


def test_a_link_has_a_name_that_the_kernel_takes() -> None:
    assert len(files.link("a" * 90)) == 15
    assert files.link("web-r0") != files.link("web-r1")
