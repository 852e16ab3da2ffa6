# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiler refuses, warns of and keeps secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile import names
from ansible_collections.k8s4r.robot.plugins.plugin_utils.fleet.robots import Robot

from .one_robot import ROBOT, TASKS, compiled, refusal


def network(upstream: str, name: str = "job") -> str:
    return f"""
        name: {name}
        taskGroups:
          - name: g
            network: {{upstreams: [{upstream}]}}
            {TASKS}
    """


def files(result) -> dict[str, str]:
    resources = [resource for job in result.plan["jobs"] for group in job["groups"] for resource in group["resources"]]
    return {resource.get("path") or resource["name"]: resource["content"] for resource in resources if "content" in resource}


SECRET = """
    name: job
    taskGroups:
      - name: g
        meta: {key: !vault "x"}
        tasks:
          - name: app
            config: {execConfig: {command: app, args: ["${ARG}"]}}
            env: {PASSWORD: !vault "x", URL: "postgresql://user:${NOMAD_META_KEY}@h/d"}
"""


def test_a_secret_is_in_environment_files_alone_and_is_scrubbed():
    result = compiled(SECRET)
    assert {path.rpartition(".")[2] for path, content in files(result).items() if "hunter2!" in content} == {"env"}
    assert [group["secrets"] for job in result.plan["jobs"] for group in job["groups"]] == [["hunter2!", "postgresql://user:hunter2!@h/d"]]


def hidden(result) -> list[list[str] | None]:
    """Of each environment file the variables whose values a diff must not show; None: of all."""
    resources = [resource for job in result.plan["jobs"] for group in job["groups"] for resource in group["resources"]]
    return [resource.get("hidden") for resource in resources if resource.get("secret")]


def test_only_values_that_are_secret_are_hidden_in_a_diff():
    assert hidden(compiled(SECRET)) == [["NOMAD_META_KEY", "PASSWORD", "URL"]]
    assert hidden(compiled(network("{name: a, localPort: 1, upstream: 'h:1', tls: false}"))) == [[]]


def test_all_values_of_a_file_that_was_rendered_or_encrypted_are_hidden_in_a_diff():
    for source in ({"rendered": True}, {"vaulted": True}):
        assert hidden(compiled(SECRET.replace('!vault "x"', "plain"), source=source)) == [None]


def test_a_secret_is_scrubbed_as_it_arrives_and_a_name_in_it_is_not_shown():
    text = "{name: job, taskGroups: [{name: g, tasks: [{name: t, config: {execConfig: {command: a}}, env: {PASSWORD: !vault '%s'}}]}]}"
    (group,) = compiled(text % "x-${NOMAD_ALLOC_INDEX}-y").plan["jobs"][0]["groups"]
    assert "x-0-y" in group["secrets"]
    refused = refusal(text % "pa${NOMAD_WORD}ss")
    assert "env.PASSWORD: a name in this secret has no value (for r1)" in refused
    assert "WORD}" not in refused


SEEN = "a secret cannot be used here: anyone who lists processes would see it"


def test_a_secret_as_an_argument_is_refused():
    text = refusal(SECRET.replace("${ARG}", "${NOMAD_META_KEY}"))
    assert f"taskGroups[0].tasks[0].config.execConfig.args[0]: {SEEN}; pass it in env" in text


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", []),
        ("restartPolicy: {attempts: 1}", ["restart-policy"]),
        ("network: {services: [{name: s, port: 80, to: 'localhost:81'}]}", ["await-identity", "await-proxy"]),
        ("network: {upstreams: [{name: u, localPort: 80, upstream: 'h:81', tls: false}]}", ["await-proxy"]),
        ("initTasks: [{name: i, daemon: true, readiness: {port: 1}, config: {execConfig: {command: app}}}]", ["await-port"]),
        ("initTasks: [{name: i, restartPolicy: {}, config: {execConfig: {command: app}}}]", ["retry"]),
    ],
)
def test_a_group_gets_the_helpers_that_its_units_call_and_no_others(more, expected):
    """An argument that names a helper's path is no call."""
    bin = f"/etc/k8s4r/groups/{names.group_id('default', 'job', 'g')}/bin"
    config = f"driver: raw_exec, config: {{execConfig: {{command: app, args: [{bin}/await-command, {bin}/await-file]}}}}"
    result = compiled(f"name: job\ntaskGroups: [{{name: g, tasks: [{{name: app, {config}}}], {more}}}]".replace(", }", "}"))
    assert [path.removeprefix(f"{bin}/") for path in files(result) if path.startswith(f"{bin}/")] == expected


@pytest.mark.parametrize(("isolation", "expected"), [("", True), ("isolation: {ipc: own}", True), ("isolation: {ipc: host}", False)])
def test_a_group_gets_memory_of_its_own_unless_its_tasks_share_the_robots(isolation, expected):
    task = f"name: app, config: {{execConfig: {{command: app}}}}, {isolation}"
    result = compiled(f"name: job\ntaskGroups: [{{name: g, tasks: [{{{task}}}]}}]".replace(", }", "}"))
    assert any(path.endswith("/share-memory") for path in files(result)) is expected


def test_a_secret_as_the_program_is_refused_and_not_shown():
    text = refusal(SECRET.replace("command: app", 'command: "${NOMAD_META_KEY}"').replace('"x"}\n        tasks', '"-a=$b"}\n        tasks'))
    assert f"execConfig.command: {SEEN}" in text
    assert "-a=" not in text


def test_a_secret_in_an_upstream_is_refused_and_group_names_are_replaced():
    job = network("{name: api, localPort: 8080, upstream: '%s:1', tls: false}").replace(
        "taskGroups", "meta: {key: !vault 'x'}\n        taskGroups"
    )
    message = "a secret cannot be used here: it would be readable in the proxy's configuration"
    assert f"upstreams[0].upstream: {message}" in refusal(job % "${NOMAD_META_KEY}")
    (clusters,) = [text for path, text in files(compiled(job % "${NOMAD_DC}.example")).items() if path.endswith("clusters.json")]
    assert '"address":"dc1.example"' in clusters


def test_an_upstream_without_a_known_peer_is_refused():
    text = refusal(network("{name: api, localPort: 8080, upstream: 'api.example:443'}"))
    assert "job0.yml" in text
    assert "taskGroups[0].network.upstreams[0].tls: no identity is known for api.example:443" in text
    assert "deploy it together with the job that serves this address" in text
    assert "spiffeId: spiffe://fleet.example/ns/default/job/<job>/group/<group>}" in text


def everywhere(job: str) -> str:
    return job.replace("taskGroups", "type: system\n        taskGroups", 1)


SERVED = f"""
    name: api
    type: system
    constraints: [{{lTarget: "${{node.unique.name}}", rTarget: r1}}]
    taskGroups:
      - name: web
        network: {{services: [{{name: s, port: 443, to: "127.0.0.1:80", allow: [{{job: job, group: g}}]}}]}}
        {TASKS}
"""


@pytest.mark.parametrize(
    ("host", "remedy"),
    [
        ("192.0.2.2", "correct `upstream`, or constrain that group to r2, which has this address"),
        ("192.0.2.9", "correct `upstream`"),
        ("api.example", "correct `upstream`"),
    ],
)
def test_an_upstream_whose_service_is_on_another_robot_is_told_where(host, remedy):
    caller = network(f"{{name: api, localPort: 8080, upstream: '{host}:443'}}")
    text = refusal(SERVED, everywhere(caller), robots=(ROBOT, Robot("r2", "192.0.2.2")))
    served = "spiffe://fleet.example/ns/default/job/api/group/web has port 443, but on r1 (192.0.2.1)"
    assert f"taskGroups[0].network.upstreams[0].upstream: no identity is known for {host}:443: {served}; {remedy}\n" in f"{text}\n"


def test_of_many_robots_with_the_service_some_are_named():
    robots = tuple(Robot(f"r{number}", f"192.0.2.{number}") for number in range(1, 6))
    caller = network("{name: api, localPort: 8080, upstream: '192.0.2.9:443'}")
    text = refusal(SERVED.replace("rTarget: r1", 'operand: "!=", rTarget: none'), everywhere(caller), robots=robots)
    assert "but on r1 (192.0.2.1), r2 (192.0.2.2), r3 (192.0.2.3) and 2 more; correct `upstream`" in text


@pytest.mark.parametrize(
    ("allow", "tls", "warning"),
    [
        ("{job: job, group: g}", "", None),
        ("{job: elsewhere, group: g}", "", "but its `allow` does not name spiffe://fleet.example/ns/default/job/job/group/g"),
        (
            "{job: job, group: g}",
            ", tls: {spiffeId: 'spiffe://fleet.example/x'}",
            "spiffe://fleet.example/x is expected at 192.0.2.1:443, but",
        ),
    ],
)
def test_jobs_of_a_run_that_contradict_each_other_are_reported(allow, tls, warning):
    service = f"""
        name: api
        taskGroups: [{{name: api, network: {{services: [{{name: s, port: 443, to: "127.0.0.1:80", allow: [{allow}]}}]}}, {TASKS}}}]
    """
    warnings = compiled(service, network(f"{{name: api, localPort: 8080, upstream: '192.0.2.1:443'{tls}}}")).warnings
    assert [warning in str(found) for found in warnings] == ([True] if warning else [])


def test_the_peer_is_the_upstreams_id_then_the_fleets_then_the_one_known_service():
    service = f"""
        name: api
        taskGroups: [{{name: api, network: {{services: [{{name: s, port: 443, to: "127.0.0.1:80"}}]}}, {TASKS}}}]
    """
    upstream = "{name: api, localPort: 8080, upstream: '192.0.2.1:443'%s}"
    known = "spiffe://fleet.example/ns/default/job/api/group/api"
    for written, peers, expected in (
        (", tls: {mode: spiffe, spiffeId: 'spiffe://a/b'}", {"192.0.2.1:443": "spiffe://c/d"}, "spiffe://a/b"),
        ("", {"192.0.2.1:443": "spiffe://c/d"}, "spiffe://c/d"),
        ("", {}, known),
    ):
        result = compiled(service, network(upstream % written), peers=peers)
        (clusters,) = [text for path, text in files(result).items() if path.endswith("clusters.json") and "/job-g-" in path]
        assert f'"exact":"{expected}"' in clusters


def test_two_groups_on_one_port_of_a_robot_are_refused_and_both_are_named():
    text = refusal(
        network("{name: a, localPort: 8080, upstream: 'h:1', tls: false}", "one"),
        network("{name: b, localPort: 8080, upstream: 'h:2', tls: false}", "two"),
    )
    path = "taskGroups[0].network.upstreams[0].localPort"
    assert f"job1.yml:5:48: {path}: 127.0.0.1:8080 on robot r1 is taken by job0.yml: {path}; choose another port" in text


def test_a_memory_limit_is_refused_where_the_kernel_has_no_memory_controller():
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: app, resources: {memory: 64Mi}, config: {execConfig: {command: app}}}]}]}"
    assert "taskGroups[0].tasks[0].resources.memory: the robot cannot limit memory" in refusal(
        job, robot=ROBOT._replace(capabilities={"systemd": "252", "cgroup.memory": "no"})
    )


DOLLAR, BACKTICK, BACKSLASH, RETURN, ESCAPE = "$", "`", "\\\\", "\\r", "\\u001b"
VALUES = """
    name: job
    meta: {{motto: "{meta}"}}
    taskGroups:
      - name: g
        count: 2
        initTasks: [{{name: first, config: {{execConfig: {{command: /bin/true}}}}, env: {{INIT: "{init}"}}}}]
        tasks:
          - name: app
            config: {{execConfig: {{command: app}}}}
            env: {{PASSWORD: !vault "x", PLAIN: "{plain}"}}
"""
OLD, REPAIRED = (ROBOT._replace(capabilities={"systemd": version}) for version in ("246", "247"))


@pytest.mark.parametrize(
    ("character", "what"),
    [
        *((character, "adds a backslash before each $, ` and \\ of a value") for character in (DOLLAR, BACKTICK, BACKSLASH)),
        *((character, "drops a value with a control character") for character in (RETURN, ESCAPE)),
    ],
)
@pytest.mark.parametrize(
    ("place", "path"),
    [("meta", "meta.motto: NOMAD_META_MOTTO"), ("init", "initTasks[0].env.INIT: INIT"), ("plain", "tasks[0].env.PLAIN: PLAIN")],
)
def test_a_value_that_an_old_systemd_would_not_hand_on_is_refused(place, path, character, what):
    harmless = dict.fromkeys(("meta", "init", "plain"), r"""a 'b' \"c\" % # \t \n ä""")
    text = VALUES.format(**{**harmless, place: f"a{character}b"})
    refused = refusal(text, robot=OLD)
    assert f"{path} would not reach the task: systemd 246 on robot r1 {what}" in refused
    assert "update systemd to 247, or exclude the robot by a constraint" in refused
    assert len(refused.splitlines()) == 1, refused
    assert compiled(text, robot=REPAIRED)


def test_a_secret_that_an_old_systemd_would_write_into_the_journal_is_refused_and_not_shown():
    text = SECRET.replace("postgresql:", "p\\rostgresql:").replace('"${ARG}"', "")
    refused = refusal(text, robot=OLD)
    assert "tasks[0].env.URL: URL would not reach the task" in refused
    assert "hunter2" not in refused
    assert "ostgresql" not in refused


def test_several_databases_warn_and_the_first_owns_the_variables():
    upstreams = "{name: db-a, localPort: 5432, upstream: 'h:1', tls: false}, {name: db-b, localPort: 5433, upstream: 'h:2', tls: false}"
    result = compiled(network(upstreams))
    assert "the DATABASE_* variables describe the first database, 'db-a'; for db-b use PROXY_*" in str(result.warnings[0])
    (environment,) = [text for path, text in files(result).items() if path.endswith(".env")]
    assert 'DATABASE_URL="postgresql://127.0.0.1:5432/mydb"' in environment


def test_an_unresolved_name_of_ours_is_refused_and_the_programs_own_are_left():
    job = """
        name: job
        taskGroups: [{name: g, tasks: [{name: app, config: {execConfig: {command: app, args: ["${HOME} $X ${meta.arm}", "%s"]}}}]}]
    """
    (unit,) = [text for path, text in files(compiled(job % "x")).items() if path.startswith("k8s4r-task-")]
    assert '"${HOME} $X left"' in unit
    for name, remedy in (
        ("meta.leg", "define it, or remove it from the text"),
        ("meta.amr", "did you mean ${meta.arm}?"),
        ("node.unique.nam", "did you mean ${node.unique.name}?"),
        ("NOMAD_TASK_NAM", "did you mean ${NOMAD_TASK_NAME}?"),
    ):
        assert f"args[1]: ${{{name}}} has no value (for r1); {remedy}" in refusal(job % f"${{{name}}}")


def test_a_key_of_meta_is_the_same_text_by_each_of_its_names():
    job = """
        name: job
        meta: {site: "${node.datacenter}", zone: x}
        taskGroups:
          - name: g
            meta: {zone: "${NOMAD_JOB_NAME}-${meta.arm}"}
            tasks:
              - name: app
                env: {SITE: "at ${meta.site}"}
                config: {execConfig: {command: app, args: ["${meta.site} ${NOMAD_META_SITE}", "${meta.zone} ${NOMAD_META_ZONE}"]}}
    """
    texts = files(compiled(job))
    (unit,) = [text for path, text in texts.items() if path.startswith("k8s4r-task-")]
    assert '"dc1 dc1" "job-left job-left"' in unit
    (environment,) = [text for path, text in texts.items() if path.endswith(".env")]
    assert 'SITE="at dc1"' in environment


def test_meta_with_names_in_other_meta_is_refused():
    job = """
        name: job
        meta: {site: "${node.datacenter}", arm: "${node.class}", plain: text}
        taskGroups:
          - name: g
            meta: {zone: "x-${meta.%s}"}
            tasks: [{name: app, config: {execConfig: {command: app}}}]
    """
    assert refusal(job % "site").endswith(
        "taskGroups[0].meta.zone: ${meta.site} has names in its own value, which cannot be replaced here (for r1); "
        "write its value here, or give it a value without names"
    )
    secret = job.replace('"x-${meta.%s}"', '!vault "${meta.site}"')
    assert "meta.zone: a name in this secret has names in its own value, which cannot be replaced here (for r1);" in refusal(secret)
    for label, put_in in (("arm", "left"), ("plain", "text")):
        # The robot's label of this name comes first.
        assert f'NOMAD_META_ZONE="x-{put_in}"' in "".join(files(compiled(job % label)).values())


NAME = st.text("abcXYZ019-_.", min_size=1, max_size=63)


@given(NAME, NAME, NAME, NAME)
def test_names_are_valid_and_of_bounded_length(namespace, job, group, task):
    task_id, group_id = names.task_id(namespace, job, group, 9999, task), names.group_id(namespace, job, group)
    for unit in (names.task_unit(task_id), names.slice_unit(group_id), names.target_unit(group_id), names.proxy_unit(group_id)):
        assert len(unit) <= 128
        assert all(character.isalnum() or character in "-_." for character in unit)
    assert names.slice_unit(group_id).count("-") == 1
    for user in (names.user(namespace, job, group), names.proxy_user(namespace, job, group)):
        assert len(user) <= 31


@given(st.tuples(NAME, NAME, NAME), st.tuples(NAME, NAME, NAME))
def test_different_groups_have_different_names(first, second):
    assert (first == second) == (names.group_id(*first) == names.group_id(*second))


def test_dashes_do_not_collide():
    assert names.group_id("n", "a-b", "c") != names.group_id("n", "a", "b-c")


def test_the_parent_of_an_entry_is_the_robots_agent_whichever_way_it_joined():
    job = network("{name: a, localPort: 8080, upstream: 'h:1', tls: {mode: spiffe, spiffeId: 'spiffe://a/b'}}")
    popped, joined = compiled(job), compiled(job, robot=ROBOT._replace(attestor="join_token"))
    assert [entry["parent_id"] for entry in popped.entries] == ["spiffe://fleet.example/spire/agent/x509pop/r1"]
    assert [entry["parent_id"] for entry in joined.entries] == ["spiffe://fleet.example/robot/r1"]
    # An agent that has attested in the other way is not the parent: it is to attest anew first.
    for robot, note in ((popped, "r1"), (joined, "r1@join_token")):
        (group,) = robot.plan["jobs"][0]["groups"]
        assert plan.need(f"/etc/spire/agent/names/{note}", "spire_agent") in group["needs"]


def test_an_init_tasks_constraint_removes_robots_too():
    job = """
        name: job
        taskGroups:
          - name: g
            initTasks:
              - {name: i, config: {execConfig: {command: a}}, constraints: [{lTarget: "${meta.arm}", operand: "=", rTarget: right}]}
            tasks: [{name: app, config: {execConfig: {command: app}}}]
    """
    assert "taskGroups[0].initTasks[0].constraints[0] requires ${meta.arm} = right (rules out r1: it has 'left')" in refusal(job)


@pytest.mark.parametrize("user", ["k8s4r-p-web-1db223d4", "k8s4r-other-00000000", "spire-agent", "spire-server"])
def test_no_task_runs_as_a_user_that_others_rely_on(user):
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: app, user: NAME, config: {execConfig: {command: app}}}]}]}"
    assert f"taskGroups[0].tasks[0].user: {user} belongs to a group, a proxy or SPIRE" in refusal(job.replace("NAME", user))


@pytest.mark.parametrize("driver", ["exec", "raw_exec"])
def test_root_sees_nothing_of_a_tasks_environment(driver):
    """LD_PRELOAD reaches the program alone, and what root runs at the task's end begins with an empty environment."""
    job = """
        name: job
        taskGroups:
          - name: g
            restartPolicy: {attempts: 1}
            tasks: [{name: app, driver: %s, env: {LD_PRELOAD: /x.so, PATH: /mine}, config: {execConfig: {command: /app}}}]
    """
    (unit,) = [text for path, text in files(compiled(job % driver)).items() if path.startswith("k8s4r-task-")]
    lines = unit.splitlines()
    assert "UnsetEnvironment=LD_PRELOAD" in lines
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.endswith("/usr/bin/env LD_PRELOAD=/x.so /app")
    assert all(line.startswith("ExecStopPost=+/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ") for line in lines if "StopPost" in line)
    assert any("StopPost" in line for line in lines)


def test_a_task_owns_no_directory_that_systemd_mounts_into():
    (task,) = [
        resource
        for job in compiled("{name: job, taskGroups: [{name: g, " + TASKS + "}]}").plan["jobs"]
        for group in job["groups"]
        for resource in group["resources"]
        if resource["kind"] == "directory" and resource["path"].startswith("/var/lib/k8s4r/tasks/") and resource["path"].count("/") == 5
    ]
    assert (task["owner"], task["mode"]) == ("root", "0750")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_listener_on_the_port_of_another_groups_program_is_refused(host):
    served = f"""
        name: api
        taskGroups: [{{name: api, network: {{services: [{{name: s, port: 18080, to: "{host}:8080"}}]}}, {TASKS}}}]
    """
    for jobs in ((served, network("{name: a, localPort: 8080, upstream: 'h:1', tls: false}")),):
        for order in (jobs, jobs[::-1]):
            assert "127.0.0.1:8080 on robot r1 is taken by" in refusal(*order)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]", "192.0.2.1"])
def test_a_service_at_every_address_is_refused_the_port_of_another_groups_program(host):
    jobs = [
        f"""
        name: {name}
        taskGroups: [{{name: g, network: {{services: [{{name: s, port: {port}, to: "{to}"}}]}}, {TASKS}}}]
        """
        for name, port, to in (("one", 18080, f"{host}:8080"), ("two", 8080, "127.0.0.1:8081"))
    ]
    for order in (jobs, jobs[::-1]):
        assert "[::]:8080 on robot r1 is taken by" in refusal(*order)


@pytest.mark.parametrize("written", ["fd12:3456::10", "FD12:3456:0:0::10", "fd12:3456:0:0:0:0:0:10"])
def test_an_address_is_the_same_however_it_is_spelled(written):
    service = f"""
        name: answer
        taskGroups:
          - name: g
            network: {{services: [{{name: s, port: 80, to: "127.0.0.1:81", allow: [{{job: job, group: g}}]}}]}}
            {TASKS}
    """
    call = network("{name: answer, localPort: 9088, upstream: '[FD12:3456::0:10]:80'}")
    assert compiled(service, call, robot=ROBOT._replace(address=written)).warnings == ()


@pytest.mark.parametrize(("ipv6", "address"), [("yes", '"address":"::","ipv4_compat":true'), ("no", '"address":"0.0.0.0"')])
def test_a_service_is_at_every_address_that_the_robots_kernel_knows(ipv6, address):
    service = f'{{name: job, taskGroups: [{{name: g, network: {{services: [{{name: s, port: 80, to: "127.0.0.1:81"}}]}}, {TASKS}}}]}}'
    result = compiled(service, robot=ROBOT._replace(capabilities={**ROBOT.capabilities, "ipv6": ipv6}))
    (listeners,) = [text for path, text in files(result).items() if path.endswith("listeners.json")]
    assert address in listeners
    (port,) = result.plan["jobs"][0]["groups"][0]["ports"]
    assert f'"address":"{port["address"]}"' in listeners
    assert port["unit"].startswith("k8s4r-proxy-job-g-")
