# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Good job files, in both forms, become the jobs that they say."""

from __future__ import annotations

import dataclasses
import textwrap

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.declare.keys import Secret
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.brings.drivers import ExecConfig, TaskConfig
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.group import TaskGroup
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.job import Job
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.network import Allowed, InboundService, Network, Spiffe, Tls, Upstream
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.policies import Constraint, RestartPolicy
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.resources import Resources
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.task import InitTask, Readiness, Task
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import (
    Driver,
    JobType,
    Operand,
    Protocol,
    RestartMode,
    TlsMode,
)
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.reader import load
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.read.source import Options, Source

SPEC = """\
type: batch
robotSelector: {zone: north}
datacenters: [dc1]
meta: {owner: team}
constraints: [{lTarget: "${attr.cpu.arch}", operand: =, rTarget: amd64}]
taskGroups:
  - name: web
    count: 4
    constraints: [{ltarget: "${meta.x}", operand: set_contains, rtarget: a}]
    restartPolicy: {attempts: 2, interval: 30m, delay: 1.5s, mode: delay}
    resources: {cpu: 2, memory: 1Gi}
    meta: {tier: front}
    initTasks:
      - name: daemon
        daemon: true
        readiness: {port: 9000, timeout: 1m30s}
        config: {execConfig: {command: /bin/daemon}}
        user: daemon
    tasks:
      - name: app
        driver: raw_exec
        config:
          execConfig:
            command: /bin/sh
            args: [-c, "echo ${HOME} $X {{ y }} %n\\n"]
        resources: {cpu: 500m, memory: "128Mi"}
        env: {A: "1"}
        timeout: 1h
        killTimeout: 10s
        killSignal: SIGRTMIN+3
    network:
      spiffe: {trustDomain: example.org, agentSocketPath: /run/spire/sockets/agent.sock}
      upstreams:
        - {name: database, localPort: 5432, upstream: "db.example.org:5432", database: d, scheme: mysql}
        - {name: api, localPort: 8080, upstream: "[::1]:443", protocol: http, tls: false}
        - name: telemetry
          localPort: 9090
          upstream: ${meta.telemetry}:443
          protocol: grpc
          tls: {spiffeId: spiffe://example.org/x}
      services:
        - {name: s, port: 443, to: "127.0.0.1:80", protocol: http, allow: [{group: web}, {group: g, job: j, namespace: n}]}
"""
NO_OPTIONS = Options()
COMMAND = TaskConfig(ExecConfig("true"))
DOCUMENT = "apiVersion: robot.k8s4r.io/v1alpha1\nkind: Job\nmetadata:\n  name: web\n  namespace: team\nspec:\n"
EXPECTED = Job(
    name="web",
    namespace="team",
    type=JobType.BATCH,
    robot_selector={"zone": "north"},
    datacenters=("dc1",),
    meta={"owner": "team"},
    constraints=(Constraint("${attr.cpu.arch}", Operand.EQUAL, "amd64"),),
    task_groups=(
        TaskGroup(
            name="web",
            count=4,
            constraints=(Constraint("${meta.x}", Operand.SET_CONTAINS, "a"),),
            restart_policy=RestartPolicy(2, 1800.0, 1.5, RestartMode.DELAY),
            resources=Resources(cpu=2000, memory=2**30),
            meta={"tier": "front"},
            init_tasks=(
                InitTask(
                    name="daemon",
                    config=TaskConfig(ExecConfig("/bin/daemon")),
                    user="daemon",
                    daemon=True,
                    readiness=Readiness(port=9000, timeout=90.0),
                ),
            ),
            tasks=(
                Task(
                    name="app",
                    driver=Driver.RAW_EXEC,
                    config=TaskConfig(ExecConfig("/bin/sh", ("-c", "echo ${HOME} $X {{ y }} %n\n"))),
                    resources=Resources(cpu=500, memory=128 * 2**20),
                    env={"A": "1"},
                    timeout=3600.0,
                    kill_timeout=10.0,
                    kill_signal="SIGRTMIN+3",
                ),
            ),
            network=Network(
                spiffe=Spiffe("example.org", "/run/spire/sockets/agent.sock"),
                upstreams=(
                    Upstream("database", 5432, "db.example.org:5432", database="d", scheme="mysql"),
                    Upstream("api", 8080, "[::1]:443", Protocol.HTTP, Tls(TlsMode.NONE)),
                    Upstream("telemetry", 9090, "${meta.telemetry}:443", Protocol.GRPC, Tls(spiffe_id="spiffe://example.org/x")),
                ),
                services=(InboundService("s", 443, "127.0.0.1:80", "::", Protocol.HTTP, (Allowed("web"), Allowed("g", "j", "n"))),),
            ),
        ),
    ),
)


def one(text, name="job.yml", options=NO_OPTIONS, **source):
    [job], warnings = load([Source(name, text, **source)], options)
    return job, [str(warning) for warning in warnings]


def indented(text):
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def small(group="", task="", job=""):
    return f"{job}\ntaskGroups: [{{name: g, {group} tasks: [{{name: t, config: {{execConfig: {{command: 'true'}}}} {task}}}]}}]"


def test_short_form():
    assert one(f"name: web\nnamespace: team\n{SPEC}") == (EXPECTED, [])


def test_document():
    assert one(DOCUMENT + indented(SPEC)) == (EXPECTED, [])


def test_document_as_a_server_returns_it():
    text = DOCUMENT.replace(
        "spec:", "  labels: {a: b}\n  annotations: {}\n  creationTimestamp: 2026-11-20T00:00:00Z\n  uid: x\nstatus: {state: running}\nspec:"
    )
    assert one(text + "  name: web\n" + indented(SPEC)) == (EXPECTED, [])


@pytest.mark.parametrize("file", ["jobs/web.yml", "web.yaml", "web.yml.j2", "web.j2", "web"])
def test_name_of_the_short_form_is_the_files(file):
    assert one(f"namespace: team\n{SPEC}", file)[0].name == "web"


def test_defaults():
    [group] = one(small())[0].task_groups
    assert group == TaskGroup(name="g", tasks=(Task(name="t", config=COMMAND),))
    assert (group.count, group.network, group.tasks[0].kill_timeout, group.tasks[0].kill_signal) == (1, None, 5.0, "SIGTERM")


def test_several_documents_and_files():
    text = f"--- # nothing\n---\n{small(job='name: a')}\n---\n{small(job='name: b')}\n...\n"
    jobs, _warnings = load([Source("1.yml", text), Source("2.yml", small(job="name: a\nnamespace: other"))])
    assert [(job.path, job.line, job.name) for job in jobs] == [("1.yml", 3, "a"), ("1.yml", 6, "b"), ("2.yml", 1, "a")]


def test_merge_keys_give_way_to_own_keys_and_to_earlier_mappings():
    text = """\
name: m
taskGroups:
- name: g
  tasks:
  - &a {name: a, user: ua, timeout: 1s, config: {execConfig: {command: 'true'}}}
  - &b {<<: *a, name: b, user: ub, killTimeout: 2s}
  - {name: c, <<: [*a, *b]}
"""
    _first, b, c = one(text)[0].task_groups[0].tasks
    assert (b.name, b.user, b.timeout, b.kill_timeout) == ("b", "ub", 1.0, 2.0)
    assert (c.name, c.user, c.timeout, c.kill_timeout) == ("c", "ua", 1.0, 2.0)


def test_accepted_without_effect():
    group = "reschedulePolicy: {attempts: 1, delayFunction: constant, unlimited: false}, ephemeralDisk: {sizeMB: 300, sticky: true},"
    task = ", resources: {disk: 1Gi, iops: 5, networks: [{mbits: 10}]}"
    task += ", services: [{name: s, portLabel: http, tags: [a]}, {name: t, portLabel: '8080', provider: consul}]"
    _jobs, warnings = one(small(group, task, "priority: 70\nupdate: {maxParallel: 1, autoRevert: true}"))
    never = "never acts: no other robot is asked, and a failed task is restarted where it is, as restartPolicy says"
    assert [warning.split(": ", 1)[1] for warning in warnings] == [
        "priority: has no effect yet",
        "update.maxParallel: has no effect yet",
        "update.autoRevert: has no effect yet",
        f"taskGroups[0].reschedulePolicy: {never}",
        "taskGroups[0].tasks[0].services[0]: has no effect: templates look up services whose portLabel is a label of network.ports",
    ]


UPSTREAMS = "upstreams: [{name: a, localPort: 1, upstream: 'h:1'}]"


class TestNetworkOfTasks:
    def test_is_lifted_to_the_group(self):
        [group] = one(small(task=f", network: {{{UPSTREAMS}}}"))[0].task_groups
        assert group.network == Network(upstreams=(Upstream("a", 1, "h:1"),))
        assert group.tasks[0].network is None

    def test_the_same_on_group_and_task(self):
        [group] = one(small(f"network: {{{UPSTREAMS}}},", f", network: {{enabled: true, {UPSTREAMS}}}"))[0].task_groups
        assert group.network == Network(upstreams=(Upstream("a", 1, "h:1"),))

    def test_disabled_is_as_if_it_were_not_written(self):
        [group] = one(small("network: {enabled: false},", f", network: {{enabled: false, {UPSTREAMS}}}"))[0].task_groups
        assert (group.network, group.tasks[0].network) == (None, None)

    def test_later_problems_name_the_place_where_it_was_written(self):
        job, _warnings = one(small(task=f",\n network: {{{UPSTREAMS}}}"))
        problem = job.problem("taskGroups[0].network.upstreams[0].upstream", "is unknown")
        assert (problem.line, problem.column) == (3, 58)


def test_upstreams_without_a_proxy_warn():
    _jobs, warnings = one(small(f"network: {{type: none, {UPSTREAMS}}},"))
    assert warnings == ["job.yml:2:57: taskGroups[0].network.upstreams: are not reached through a proxy: the network's type is none"]


def test_what_a_proxy_would_do_is_said_to_have_no_effect_without_one():
    keys = "accessLog: none, spiffe: {trustDomain: fleet.example}"
    _jobs, warnings = one(small(f"network: {{type: none, {keys}}},"))
    why = "has no effect, because the network's type is none"
    assert [warning.split(": ", 1)[1] for warning in warnings] == [
        f"taskGroups[0].network.accessLog: {why}",
        f"taskGroups[0].network.spiffe: {why}",
    ]
    assert one(small(f"network: {{{keys}}},"))[1] == []


def test_the_url_of_what_is_no_database_is_said_to_have_no_effect():
    upstreams = [
        '{name: api, localPort: 9000, upstream: "h:1", database: shop}',
        '{name: db, localPort: 9001, upstream: "h:2", protocol: http, scheme: mysql}',
        '{name: orders-db, localPort: 9002, upstream: "h:3", database: shop, scheme: mysql}',
    ]
    _jobs, warnings = one(small(f"network: {{upstreams: [{', '.join(upstreams)}]}},"))
    why = "has no effect, because only a tcp upstream whose name contains database or db gives DATABASE_URL"
    assert [warning.split(": ", 1)[1] for warning in warnings] == [
        f"taskGroups[0].network.upstreams[0].database: {why}; remove it, or rename the upstream",
        f"taskGroups[0].network.upstreams[1].scheme: {why}; remove it, or write protocol: tcp",
    ]


def test_a_job_that_is_named_almost_as_one_of_the_run_is_doubted():
    allow = "network: {services: [{name: a, port: 7000, to: '127.0.0.1:80', allow: [{job: lanp, group: g}, {job: other, group: g}]}]},"
    _jobs, warnings = load([Source("1.yml", small(allow)), Source("2.yml", small(job="name: lamp"))])
    path = "taskGroups[0].network.services[0].allow[0].job"
    assert [str(each).split(": ", 1)[1] for each in warnings] == [f'{path}: found "lanp": no job of this run; did you mean lamp?']


@pytest.mark.parametrize("name", ["lamp2", "lamps"])
def test_a_job_that_robots_have_or_that_differs_by_its_number_alone_is_not_doubted(name):
    allow = f"network: {{services: [{{name: a, port: 7000, to: '127.0.0.1:80', allow: [{{job: {name}, group: g}}]}}]}},"
    jobs = [Source("1.yml", small(allow)), Source("2.yml", small(job="name: lamp3"))]
    assert load(jobs, Options(deployed=lambda: {("default", "lamps")}))[1] == []


def test_a_group_of_services_alone():
    text = "name: x\ntaskGroups: [{name: g, network: {services: [{name: s, port: 80, to: '127.0.0.1:81', allow: [{group: g}]}]}}]"
    assert one(text)[0].task_groups[0].tasks == ()


def test_one_port_on_two_addresses():
    services = "{name: a, port: 80, address: 10.0.0.1, to: '127.0.0.1:80'}, {name: b, port: 80, address: 10.0.0.2, to: '127.0.0.1:80'}"
    assert len(one(small(f"network: {{services: [{services}]}},"))[0].task_groups[0].network.services) == 2


BLOCK_VAULT = """\
taskGroups:
  - name: g
    tasks:
      - name: t
        config: {execConfig: {command: x}}
        env:
          A: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            6638
"""


class TestVault:
    options = Options(decrypt=lambda text: text.strip().upper())

    def test_values(self):
        [group] = one(small(task=", env: {A: !vault secret, B: plain}"), options=self.options)[0].task_groups
        assert group.tasks[0].env == {"A": "SECRET", "B": "plain"}
        assert [type(value) for value in group.tasks[0].env.values()] == [Secret, str]

    def test_block_as_ansible_vault_writes_it(self):
        env = one(BLOCK_VAULT, options=Options(decrypt=lambda text: text))[0].task_groups[0].tasks[0].env
        assert env == {"A": "$ANSIBLE_VAULT;1.1;AES256\n6638\n"}

    def test_whole_files(self):
        job, _warnings = one(small(task=", env: {A: x}", job="name: n\nmeta: {m: y}"), vaulted=True)
        assert [type(value) for value in (job.task_groups[0].tasks[0].env["A"], job.meta["m"], job.name)] == [Secret, Secret, str]


def test_positions_of_later_problems():
    job, _warnings = one(DOCUMENT + indented(SPEC))
    assert (
        str(job.problem("taskGroups[0].tasks[0].env.A", "is wrong", "mend it"))
        == "job.yml:33:20: spec.taskGroups[0].tasks[0].env.A: is wrong; mend it"
    )
    assert job.problem("taskGroups[0].nothing.there", "is wrong").line == 13


def test_jobs_can_be_compared_and_changed_but_not_set():
    job, _warnings = one(small())
    assert dataclasses.replace(job, name="other") != job
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.name = "other"


@pytest.mark.parametrize(
    ("mode", "port", "remedy"),
    [
        ("host", "", "write hostIP: 127.0.0.1, so that only the proxy and this robot reach it"),
        ("group", "", "write the number at which the program listens, to: 127.0.0.1:<number>, in that service, and remove this port"),
        ("host", ", hostIP: 127.0.0.1", ""),
        ("host", ", hostIP: 192.0.2.7", "write hostIP: 127.0.0.1, so that only the proxy and this robot reach it"),
    ],
)
def test_a_port_that_leads_past_the_service_before_it_is_told(mode, port, remedy):
    text = f"""
        name: shop
        taskGroups:
          - name: api
            network:
              mode: {mode}
              ports: [{{label: http{port}}}, {{label: other}}]
              services: [{{name: web, port: 7000, to: http, allow: [{{group: api}}]}}]
            tasks: [{{name: app, config: {{execConfig: {{command: app}}}}}}]
    """
    _jobs, warnings = load([Source("job.yml", textwrap.dedent(text))])
    said = "taskGroups[0].network.ports[0]: is open to everybody, without mTLS, beside the service web, which leads to it"
    assert [str(each).partition(": ")[2] for each in warnings] == ([f"{said}; {remedy}"] if remedy else [])


@pytest.mark.parametrize(
    ("mode", "port", "to", "told"),
    [
        ("group", "to: 8080", "127.0.0.1:8080", True),
        ("group", "static: 80, to: 8080", "localhost:8080", True),
        ("group", "static: 8080", "127.0.0.1:8080", True),
        ("group", "static: 8080, to: 9090", "127.0.0.1:8080", False),
        ("group", "to: 8080, hostIP: 127.0.0.1", "127.0.0.1:8080", False),
        ("host", "static: 8080", "127.0.0.1:8080", True),
        ("host", "static: 8080", "192.0.2.1:8080", False),
        ("host", "static: 8081", "127.0.0.1:8080", False),
    ],
)
def test_so_is_one_that_leads_there_by_its_number(mode, port, to, told):
    service = f"{{name: web, port: 7000, to: '{to}', allow: [{{group: api}}]}}"
    network = f"{{mode: {mode}, ports: [{{label: http, {port}}}], services: [{service}]}}"
    text = (
        f"name: shop\ntaskGroups: [{{name: api, network: {network}, tasks: [{{name: app, config: {{execConfig: {{command: app}}}}}}]}}]\n"
    )
    _jobs, warnings = load([Source("job.yml", text)])
    assert [each for each in map(str, warnings) if "is open to everybody" in each] == [str(each) for each in warnings if told]
    assert bool(warnings) is told
