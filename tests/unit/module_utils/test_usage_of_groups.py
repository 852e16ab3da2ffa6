# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group uses is what its slice uses."""

from __future__ import annotations

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.requests import status

RUN, PROXY, TASK = "k8s4r-run-g.service", "k8s4r-proxy-g.service", "k8s4r-task-g-r0-t.service"
GROUP = {
    "resources": [
        plan.unit(RUN, "", run="none", called="run"),
        plan.unit(PROXY, "", run="always", called="proxy"),
        plan.unit(TASK, "", run="none", called="r0 t", logs="/var/lib/k8s4r/tasks/g-r0-t/logs"),
    ]
}
AT = {
    RUN: "/system.slice/k8s4r-run-g.service",
    PROXY: "/k8s4r.slice/k8s4r-proxy.slice/p.service",
    TASK: "/k8s4r.slice/k8s4r-g.slice/t.service",
}


class Cgroups:
    """Says which control group it was asked for."""

    def sample(self, _paths, _seconds):
        pass

    def usage(self, path, _kills):
        return path


def used(monkeypatch, *up):
    monkeypatch.setattr(status, "Cgroups", Cgroups)
    monkeypatch.setattr(status.oom, "kills", dict)
    monkeypatch.setattr(status.systemd, "show", lambda units, _properties: {u: {"ControlGroup": AT[u]} for u in units if u in up})
    return status._Now([GROUP], 0.0, "/run").usage_of_all(GROUP)


def test_what_starts_a_schedule_is_among_services_of_the_robot(monkeypatch):
    assert used(monkeypatch, RUN, PROXY) == ""
    assert used(monkeypatch, RUN, PROXY, TASK) == "/k8s4r.slice/k8s4r-g.slice"
