# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a check connects to, by its portLabel."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job import labels
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.labels import Place
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.network import InboundService, Network
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.ports import Port
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import Transport

NETWORK = Network(
    ports=(
        Port(label="web"),
        Port(label="fixed", static=8080, host_ip="192.0.2.7"),
        Port(label="all", static=8081, host_ip="::"),
        Port(label="clock", protocol=Transport.UDP),
    ),
    services=(
        InboundService(name="api", port=8443, to="0.0.0.0:9000"),
        InboundService(name="page", port=8444, to="web"),
        InboundService(name="time", port=8445, to="clock"),
    ),
)


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("8000", Place("127.0.0.1", 8000)),
        ("web", Place("127.0.0.1", 20001)),
        ("fixed", Place("192.0.2.7", 8080)),
        ("all", Place("::1", 8081)),
        ("api", Place("127.0.0.1", 9000)),
        ("page", Place("127.0.0.1", 20001)),
        ("clock", None),
        ("time", None),
        ("other", None),
    ],
)
def test_the_place_of_a_label(label, place):
    assert labels.resolve(NETWORK, label, {"web": 20001}) == place


def test_what_has_no_number_yet_is_known_all_the_same():
    assert labels.resolve(NETWORK, "web") == Place("127.0.0.1", 0)
    assert labels.resolve(None, "web") is None


def test_the_labels_that_a_message_offers():
    assert labels.labels(NETWORK) == ["web", "fixed", "all", "api", "page", "time"]
    assert labels.labels(None) == []
