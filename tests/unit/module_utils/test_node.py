# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of the robot's SPIRE agent: its end is told in time, and only where the agent depends on it."""

from __future__ import annotations

import subprocess
import time

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.mesh import node

DAY = 86400


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """One that the real openssl has made, valid for 100 days from now on, of an agent that has attested as robot1."""
    path, names = tmp_path / "node.pem", tmp_path / "names"
    request = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        tmp_path / "node.key",
    )
    subprocess.run([*request, "-days", "100", "-subj", "/CN=robot1", "-out", path], check=True, capture_output=True)
    names.mkdir()
    (names / "robot1").touch()
    monkeypatch.setattr(node, "CERTIFICATE", str(path))
    monkeypatch.setattr(node, "AGENT_NAMES", str(names))
    return path


def told(monkeypatch, days):
    now = time.time() + days * DAY
    with monkeypatch.context() as later:
        later.setattr(node.time, "time", lambda: now)
        return node.expiring()


def test_its_end_is_told_when_a_quarter_of_its_time_is_left(certificate, monkeypatch):
    end = time.strftime("%Y-%m-%d", time.gmtime(node._lifetime()[1]))
    text = f"the certificate of this robot's SPIRE agent, {certificate}, {{}} on {end}; k8s4r.robot.provision renews it"
    assert [told(monkeypatch, days) for days in (0, 74, 76, 101)] == [[], [], [text.format("expires")], [text.format("expired")]]


@pytest.mark.parametrize("harm", ["by a token", "none", "no certificate"])
def test_an_agent_without_one_is_not_told_of(certificate, monkeypatch, harm):
    if harm == "by a token":
        (certificate.parent / "names/robot1").rename(certificate.parent / "names/robot1@join_token")
    elif harm == "none":
        certificate.unlink()
    else:
        certificate.write_text("-----BEGIN CERTIFICATE-----\n")
    assert told(monkeypatch, 99) == []
