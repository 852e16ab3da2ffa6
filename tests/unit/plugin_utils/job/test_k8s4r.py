# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents written for k8s4r, with the keys and habits of its v1alpha1 API, deploy without an edit."""

from __future__ import annotations

import pathlib

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.network import Network, Tls, Upstream
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.policies import Constraint
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.ports import Port
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import JobType, Operand, Protocol, TlsMode
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.reader import load
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Source
from ansible_collections.k8s4r.robot.plugins.plugin_utils.run import anywhere

DOCUMENTS = pathlib.Path(__file__).parent / "k8s4r"


def loaded(*names):
    """One file of these documents, one after the other."""
    text = b"".join((DOCUMENTS / name).read_bytes() for name in names)
    jobs, warnings = load([Source("job.yaml", text)])
    return jobs, [str(warning).removeprefix("job.yaml:") for warning in warnings]


def test_batch_with_upstreams():
    [job], warnings = loaded("batch-with-upstreams.yaml")
    assert warnings == ["18:13: spec.priority: has no effect yet"]
    assert (job.name, job.namespace, job.type, job.robot_selector) == ("map-upload", "fleet", JobType.BATCH, {})
    [group] = job.task_groups
    assert [(task.name, task.daemon) for task in group.init_tasks] == [("directories", False), ("cache", True)]
    assert group.network.upstreams == (
        Upstream("database", 5432, "db.example.org:5432"),
        Upstream("map-api", 8080, "maps.example.org:443", Protocol.HTTP, Tls(TlsMode.NONE)),
    )
    assert "cat > ${BASE}/upload.conf <<EOF\n" in group.init_tasks[0].config.exec_config.args[1]
    assert group.tasks[0].env == {"LOG_LEVEL": "debug", "RETRIES": "3"}


def test_service_and_system():
    [patrol, agent], warnings = loaded("service.yaml", "system.yaml")
    assert [warning.split(": ")[1].rpartition(".")[2] for warning in warnings] == ["reschedulePolicy"]
    [group] = patrol.task_groups
    assert group.network == Network(
        upstreams=(Upstream("planner", 7000, "planner.example.org:7000", Protocol.GRPC),), ports=(Port(label="http"),)
    )
    assert group.tasks[0].constraints == (Constraint("${node.class}", Operand.SET_CONTAINS, "wheels"),)
    assert (group.restart_policy.interval, group.tasks[0].timeout) == (600.0, 28800.0)
    assert (agent.type, agent.namespace) == (JobType.SYSTEM, "default")


def test_proxies_containers_and_artifacts():
    [job], warnings = loaded("proxy-in-front.yaml")
    assert warnings == []
    shelf, orders, labels = job.task_groups
    assert [(task.name, task.daemon) for task in shelf.init_tasks] == [("directories", False), ("agent-config", False), ("agent", True)]
    assert shelf.network.upstreams[0].tls == Tls(TlsMode.SPIFFE)
    assert [upstream.tls for upstream in orders.network.upstreams] == [Tls(TlsMode.SPIFFE)] * 2
    assert labels.tasks[0].config.docker_config.image == "label-printer:latest"
    assert orders.tasks[1].artifacts[0].relative_dest == "local/sweep.sh"
    # What it comes to on any robot whose inventory has a trust domain.
    assert anywhere.check([job]) == []
