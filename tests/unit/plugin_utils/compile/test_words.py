# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of a task whose keys change: the words of people who write jobs, and none of systemd's."""

from __future__ import annotations

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import summary

from .one_robot import compiled

LIMITS = [
    *(
        "cpu: 500m",
        "memory: 64Mi",
        "memoryHigh: 32Mi",
        "cpus: 0-1",
        "tasks: 7",
        "openFiles: 77",
        "lockedMemory: 1Mi",
        "nice: 3",
        "ioWeight: 7",
    ),
    "realtime: {policy: rr, priority: 7}",
]


def unit(driver: str, more: str) -> str:
    task = f"{{name: app, driver: {driver}, config: {{execConfig: {{command: app}}}}, {more}}}"
    job = f"name: words\ntaskGroups: [{{name: g, tasks: [{task}]}}]"
    (group,) = compiled(job).plan["jobs"][0]["groups"]
    (text,) = [each["content"] for each in group["resources"] if each.get("name", "").startswith("k8s4r-task-")]
    return text


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        *((f"resources: {{{limit}}}", ["limits"]) for limit in LIMITS),
        ("killSignal: SIGINT", ["how it is stopped"]),
        ("killMode: all", ["how it is stopped"]),
        ("killTimeout: 7s", ["how it is stopped"]),
        ("timeout: 7s", ["timeout"]),
        ("volumes: [{source: /srv/maps, target: /srv/data}]", ["volumes"]),
        ("templates: [{embeddedTmpl: a, destPath: local/a}]", ["templates"]),
        ("restartPolicy: {attempts: 7, interval: 1h, delay: 3s, mode: fail}", ["restart policy"]),
    ],
)
def test_a_key_is_called_as_people_call_it(driver, more, words):
    assert summary.of_unit(unit(driver, ""), unit(driver, more)) == words


def test_what_moves_into_a_pod_has_one_word_for_it():
    host, pod = "[Service]\nExecStart=a\n", "[Service]\nExecStart=b\nNoNewPrivileges=yes\nNetworkNamespacePath=/run/netns/k8s4r-a\n"
    assert [word for texts in ((host, pod), (pod, host)) for word in summary.of_unit(*texts)] == ["network mode"] * 2


def test_another_address_of_a_pod_has_a_word_and_a_variable_by_hand_has_none():
    assert summary.of_unit("[Service]\nEnvironment=POD_IP=a\n", "[Service]\nEnvironment=POD_IP=b\n") == ["address of the pod"]
    assert summary.of_unit("[Service]\nEnvironment=BY=hand\n", "[Service]\n") == ["Environment"]
