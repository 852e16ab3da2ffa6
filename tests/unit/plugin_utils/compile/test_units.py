# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of a task get from its keys."""

from __future__ import annotations

import json
import signal

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds
from ansible_collections.k8s4r.robot.plugins.plugin_utils.compile.units import devices, signals
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.task import Device
from ansible_collections.k8s4r.robot.plugins.plugin_utils.job.model.vocabulary import SIGNALS

from .one_robot import ROBOT, compiled, refusal


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_have_the_numbers_of_this_linux(name):
    assert name == "SIGSTKFLT" or signals.number(name) == getattr(signal, name)


def test_real_time_signals_are_counted_from_both_ends():
    assert (signals.number("SIGRTMIN+3"), signals.number("SIGRTMAX-14")) == (signal.SIGRTMIN + 3, signal.SIGRTMAX - 14)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/dev/ttyUSB0", ("char-ttyUSB",)),
        ("/dev/ttyUSB*", ("char-ttyUSB",)),
        ("/dev/ttyS[0-3]", ("char-ttyS",)),
        ("/dev/serial/by-id/usb-x", ("char-ttyACM", "char-ttyUSB")),
        ("/dev/video?", ("char-video4linux",)),
        ("/dev/videos", ("/dev/videos",)),
        ("/dev/i2c-1", ("char-i2c",)),
        ("/dev/bus/usb/001/004", ("char-usb_device",)),
        ("/dev/nvidiactl", ("char-nvidia*",)),
        ("/dev/fb0", ("char-fb",)),
        ("/dev/ttySC0", ("/dev/ttySC0",)),
        ("/dev/rfkill", ("/dev/rfkill",)),
    ],
)
def test_a_device_is_allowed_by_its_driver_where_that_is_known(path, allowed):
    assert devices.allowed([Device(path=path)]) == allowed


def test_several_devices_of_an_unknown_driver_are_refused():
    task = "{name: app, devices: ['/dev/my*', /dev/mine], config: {execConfig: {command: app}}}"
    said = refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")
    assert "tasks[0].devices[0]: /dev/my* may match several devices, and their driver is not known; name each device by its path" in said
    assert "devices[1]" not in said


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        (
            ["source: /, target: /host"],
            'volumes[0].source: found "/": /etc/k8s4r belongs to this collection or to SPIRE; name another place',
        ),
        (["source: /etc/k8s4r/groups, target: /x"], 'volumes[0].source: found "/etc/k8s4r/groups": /etc/k8s4r belongs to'),
        (["source: /var/lib, target: /x"], 'volumes[0].source: found "/var/lib": /var/lib/k8s4r belongs to'),
        (["source: /run/spire/sockets, target: /x"], 'volumes[0].source: found "/run/spire/sockets": /run/spire belongs to'),
        (
            ["source: /srv/../etc/spire, target: /x"],
            'volumes[0].source: found "/srv/../etc/spire": not the shortest spelling, "/etc/spire"',
        ),
        (["source: /srv/x/, target: /x"], 'volumes[0].source: found "/srv/x/": not the shortest spelling, "/srv/x"'),
        (["source: /srv, target: /var/lib/k8s4r/tasks"], 'volumes[0].target: found "/var/lib/k8s4r/tasks": /var/lib/k8s4r belongs to'),
        (
            ["source: /srv, target: /proc/sys"],
            'volumes[0].target: found "/proc/sys": what is in /proc comes and goes, and each task has its own',
        ),
        (["source: /srv, target: /tmp"], 'volumes[0].target: found "/tmp": what is in /tmp comes and goes'),
        (["source: /proc/1/root, target: /x"], 'volumes[0].source: found "/proc/1/root": what is in /proc comes and goes'),
        (["source: /var/run/spire, target: /x"], 'volumes[0].source: found "/var/run/spire": what is in /var/run comes and goes'),
        (["source: /srv, target: /usr/bin/env"], 'volumes[0].target: found "/usr/bin/env": /usr is the system\'s own; name another place'),
        (["source: /srv, target: /etc/passwd"], 'volumes[0].target: found "/etc/passwd": /etc is the system\'s own'),
        (["source: /a, target: /x", "source: /b, target: /x"], 'volumes[1].target: found "/x": the volume /x is not apart from it'),
        (["source: /a, target: /x", "source: /b, target: /x/y"], 'volumes[1].target: found "/x/y": the volume /x is not apart from it'),
        (["source: /a, target: /x", "source: /a/b, target: /y"], 'volumes[1].source: found "/a/b": the volume /a is not apart from it'),
    ],
)
def test_a_volume_opens_nothing_of_ours_and_hides_nothing(volumes, said):
    task = "{name: app, volumes: [" + ", ".join(f"{{{each}}}" for each in volumes) + "], config: {execConfig: {command: app}}}"
    assert f"tasks[0].{said}" in refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")


BESIDE = """
name: job
taskGroups:
  - name: g
    tasks:
      - {{name: app, volumes: [{app}], config: {{execConfig: {{command: app}}}}}}
      - {{name: box, driver: docker, config: {{dockerConfig: {{image: box, volumes: [{box}]}}}}, volumes: [{own}]}}
"""


@pytest.mark.parametrize(
    ("app", "box", "own", "where"),
    [
        ("{source: /srv/data/maps, target: /srv/maps}", "{source: /srv/data, target: /data}", "", "tasks[0].volumes[0]"),
        ("", "{source: /srv/data/maps, target: /maps}", "{source: /srv/data, target: /data}", "tasks[1].config.dockerConfig.volumes[0]"),
    ],
)
def test_nobody_is_given_what_another_task_of_the_group_can_replace(app, box, own, where):
    """A link to anywhere, put by root of a container in the place of a directory, is followed by root of the robot."""
    refused = refusal(BESIDE.format(app=app, box=box, own=own))
    assert (
        f'{where}.source: found "/srv/data/maps": tasks of this group may write to /srv/data, and could put a link in its place' in refused
    )
    compiled(BESIDE.format(app=app, box=box, own=own).replace("source: /srv/data,", "source: /srv/data, readOnly: true,"))
    compiled(BESIDE.format(app=app, box=box, own=own).replace("source: /srv/data/maps", "source: /srv/data"))


def job_with(volume: str, command: str = "app") -> str:
    task = f"{{name: app, volumes: [{{{volume}}}], config: {{execConfig: {{command: {command}}}}}}}"
    return f"{{name: job, taskGroups: [{{name: g, tasks: [{task}]}}]}}"


def test_a_volume_may_show_a_place_of_the_system_at_its_own_place_and_not_to_be_changed():
    compiled(job_with("source: /etc/java, target: /etc/java, readOnly: true"))
    assert "/etc is the system's own" in refusal(job_with("source: /etc/java, target: /etc/java"))
    assert "/etc is the system's own" in refusal(job_with("source: /etc/java, target: /etc/jvm, readOnly: true"))


def test_a_program_in_a_volume_is_looked_for_where_the_robot_has_it():
    (group,) = compiled(job_with("source: /srv/app, target: /opt/app", "/opt/app/bin/run")).plan["jobs"][0]["groups"]
    assert [program["path"] for program in group["programs"]] == ["/srv/app/bin/run"]


def test_the_groups_of_others_are_refused():
    task = "{name: app, groups: [k8s4r-x-g-0, spire-server], config: {execConfig: {command: app}}}"
    said = refusal("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}")
    assert "groups[0]: k8s4r-x-g-0 belongs to a group, a proxy or SPIRE; name a group of the robot's own" in said
    assert "groups[1]: spire-server belongs to" in said


@pytest.mark.parametrize(
    ("files", "volumes", "program", "hidden"),
    [
        ("readonly", "", "/home/Rover/app", False),
        ("private", "", "/home/Rover/app", True),
        ("private", "", "/homes-of/app", False),
        ("private", "", "/opt/app", False),
        ("private", "{source: /home/Rover, target: /home/Rover}", "/home/Rover/app", False),
        ("chroot", "", "/usr/bin/app", False),
        ("chroot", "", "app", False),
        ("chroot", "", "./app", False),
        ("chroot", "", "/var/lib/k8s4r/app", False),
        ("chroot", "", "/opt/app/run", True),
        ("chroot", "{source: /srv/app, target: /opt/app}", "/opt/app/run", False),
        ("chroot", "{source: /srv/app, target: /opt/app}", "/srv/app/run", True),
    ],
)
def test_a_program_that_its_task_cannot_see_is_refused(files, volumes, program, hidden):
    keys = f"isolation: {{files: {files}}}, volumes: [{volumes}], config: {{execConfig: {{command: {program}}}}}"
    job = "{name: job, taskGroups: [{name: g, tasks: [{name: app, " + keys + "}]}]}"
    said = f"tasks[0].config.execConfig.command: isolation.files: {files} hides {program}; add its directory to volumes"
    assert said in refusal(job) if hidden else compiled(job)


def holders(count, *isolations):
    tasks = ", ".join(
        f"{{name: t{n}, isolation: {{{text}}}, config: {{execConfig: {{command: app}}}}}}" for n, text in enumerate(isolations)
    )
    result = compiled(f"{{name: job, taskGroups: [{{name: g, count: {count}, tasks: [{tasks}]}}]}}")
    units = [r for r in result.plan["jobs"][0]["groups"][0]["resources"] if r["kind"] == "unit"]
    wanted = ["k8s4r-namespaces-" in r["content"].partition("[Service]")[0] for r in units if "-task-" in r["name"]]
    return {r["name"]: r["content"] for r in units if "-namespaces-" in r["name"]}, wanted


def test_namespaces_are_held_for_each_instance_and_only_where_a_task_shares_one():
    assert holders(1, "", "pid: own", "ipc: host, uts: host") == ({}, [False] * 3)
    held, wanted = holders(2, "uts: group", "pid: own")
    assert [name[-11:] for name in held] == ["-r0.service", "-r1.service"]
    assert wanted == [True, False] * 2


def test_what_holds_namespaces_is_the_same_whatever_tasks_share():
    """It cannot be restarted without those that are in them."""
    assert holders(1, "uts: group")[0] == holders(1, "pid: group, ipc: group", "pid: host", "pid: group")[0]


@pytest.mark.parametrize(("version", "kind"), [(247, "simple"), (249, "simple"), (250, "exec"), (257, "exec")])
def test_no_execution_is_waited_for_where_that_can_freeze_the_robot(version, kind):
    services = 'services: [{name: api, port: 8080, to: "127.0.0.1:80", allow: [{job: other, group: g}]}]'
    job = f"""\
        name: web
        taskGroups:
          - name: g
            network: {{{services}}}
            initTasks: [{{name: before, daemon: true, config: {{execConfig: {{command: app}}}}}}]
            tasks: [{{name: app, isolation: {{pid: group}}, config: {{execConfig: {{command: app}}}}}}]
        """
    result = compiled(job, robot=ROBOT._replace(capabilities={"systemd": str(version)}))
    units = [r["content"] for r in result.plan["jobs"][0]["groups"][0]["resources"] if r["kind"] == "unit"]
    kinds = {line for unit in units for line in unit.splitlines() if line.startswith("Type=")}
    assert kinds == {f"Type={kind}", "Type=oneshot"}


@pytest.mark.parametrize(
    ("resources", "config", "variables", "heap"),
    [
        ("{memory: 64Mi}", "", "{}", ["-Xmx16384k"]),
        ("{memory: 128Mi}", "", "{}", ["-Xmx65536k"]),
        ("{memory: 1Gi}", "", "{}", ["-Xmx786432k"]),
        ("{memory: 1Gi, memoryHigh: 512Mi}", "", "{}", ["-Xmx393216k"]),
        ("{}", "", "{}", []),
        ("{memory: 1Gi}", "jvmOptions: [-Xss1m, -Xmx7m],", "{}", ["-Xmx7m"]),
        ("{memory: 1Gi}", "jvmOptions: ['-XX:MaxRAMPercentage=50'],", "{}", []),
        ("{memory: 1Gi}", "", "{JAVA_TOOL_OPTIONS: -ea -Xmx7m}", []),
    ],
)
def test_the_heap_of_java_leaves_room_below_the_limit(resources, config, variables, heap):
    task = f"{{name: a, driver: java, resources: {resources}, env: {variables}, config: {{javaConfig: {{{config} jarPath: a.jar}}}}}}"
    (group,) = compiled("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}").plan["jobs"][0]["groups"]
    (resource,) = (each for each in group["resources"] if each.get("name", "").startswith("k8s4r-task-"))
    (command,) = (line for line in resource["content"].splitlines() if line.startswith("ExecStart="))
    assert [word for word in command.split() if word.startswith("-Xmx")] == heap


def test_a_jar_that_is_not_the_tasks_own_must_be_there():
    task = "{name: a, driver: java, volumes: [{source: /srv/jars, target: /jars}], config: {javaConfig: {jarPath: /jars/a.jar}}}"
    group = compiled("{name: job, taskGroups: [{name: g, tasks: [" + task + "]}]}").plan["jobs"][0]["groups"][0]
    assert [(each["what"], each["name"]) for each in group["expects"] if each["what"] == "jar"] == [("jar", "/srv/jars/a.jar")]
    assert [(each["path"], each["where"].split(": ")[-1]) for each in group["programs"]] == [("java", "taskGroups[0].tasks[0].driver")]


def memories(*tasks, count=1, mode="host", group=None):
    """The sizes of what tasks of a group see as /dev/shm; None: no size of its own."""
    made = [{"name": f"t{number}", "config": {"execConfig": {"command": "app"}}, **each} for number, each in enumerate(tasks)]
    groups = [{"name": "g", "count": count, "network": {"mode": mode}, "tasks": made, **({"resources": group} if group else {})}]
    (found,) = compiled(json.dumps({"name": "a", "taskGroups": groups})).plan["jobs"][0]["groups"]
    units = [each["content"] for each in found["resources"] if each.get("name", "").startswith("k8s4r-memory-")]
    calls = [next(line for line in unit.splitlines() if line.startswith("ExecStart=")).split() for unit in units]
    return [int(call[4]) >> 20 if len(call) > 4 else None for call in calls]


def limit(memory, **more):
    return {"resources": {"memory": f"{memory}Mi"}, **more}


def test_shared_memory_holds_what_those_who_see_it_may_have():
    assert memories(limit(32), limit(16)) == [48]
    assert memories(limit(32), limit(16), count=2) == [96]
    assert memories(limit(32), limit(16), count=2, mode="group") == [48, 48]
    # One without a limit may fill it; but not beyond what the group may have.
    assert memories(limit(32), {}) == memories({}) == [None]
    assert memories(limit(32), {}, group={"memory": "64Mi"}) == [64]
    assert memories(limit(32), count=3, group={"memory": "64Mi"}) == [64]
    assert memories(limit(32), group={"memory": "64Mi"}) == [32]
    # Who sees the robot's own counts for nothing.
    assert memories(limit(32), {"isolation": {"ipc": "host"}}) == [32]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "artifacts: [{getterSource: 'https://files.example/a-1.tar.gz'}]",
            "artifacts: [{getterSource: 'https://files.example/a-2.tar.gz'}]",
        ),
        ("driver: docker, config: {dockerConfig: {image: 'app:1'}}", "driver: docker, config: {dockerConfig: {image: 'app:2'}}"),
    ],
)
def test_an_instance_with_hooks_is_one_whole_also_in_what_its_tasks_bring_along(before, after):
    """A hook that had run to its end would not run before the main task does again."""

    def taken_in(brings):
        main = brings if "config" in brings else f"config: {{execConfig: {{command: app}}}}, {brings}"
        hook = "{name: login, lifecycle: {hook: prestart}, config: {execConfig: {command: login}}}"
        found = compiled(f"{{name: job, type: batch, taskGroups: [{{name: g, tasks: [{{name: main, {main}}}, {hook}]}}]}}")
        (group,) = found.plan["jobs"][0]["groups"]
        texts = {kinds.place(each): each["content"] for each in group["resources"] if "content" in each}
        runs = [unit for unit in kinds.that_run(group["resources"]) if unit.get("called")]
        return {unit["called"]: [(path, texts.get(path)) for path in kinds.of(unit).reads(unit)] for unit in runs}

    old, new = taken_in(before), taken_in(after)
    assert {called for called in old if old[called] != new[called]} == {"r0 main", "r0 login"}


def test_all_of_such_an_instance_begin_anew_with_the_image_of_one():
    """Whose name may stay what it is, when its tag has moved."""
    hook = "{name: migrate, lifecycle: {hook: prestart}, config: {execConfig: {command: migrate}}}"
    main = "{name: main, driver: docker, config: {dockerConfig: {image: 'app:latest', pull: always}}}"
    (group,) = compiled(f"{{name: job, taskGroups: [{{name: g, tasks: [{main}, {hook}]}}]}}").plan["jobs"][0]["groups"]
    (image,) = (kinds.place(each) for each in group["resources"] if each["kind"] == "image")
    read = {
        unit["called"]: list(kinds.of(unit).reads(unit)).count(image) for unit in kinds.that_run(group["resources"]) if unit.get("called")
    }
    assert (read["r0 main"], read["r0 migrate"]) == (1, 1)


@pytest.mark.parametrize("daemon", ["config: {execConfig: {command: b}}", "driver: docker, config: {dockerConfig: {image: 'b:1'}}"])
def test_what_comes_after_a_daemon_begins_anew_with_it_and_not_it_with_them(daemon):
    inits = (
        f"{{name: before, config: {{execConfig: {{command: a}}}}}}, {{name: dae, daemon: true, {daemon}}},"
        " {name: later, config: {execConfig: {command: c}}}"
    )
    task = "{name: app, config: {execConfig: {command: d}}}"
    (group,) = compiled(f"{{name: job, taskGroups: [{{name: g, initTasks: [{inits}], tasks: [{task}]}}]}}").plan["jobs"][0]["groups"]
    runs = {unit["called"]: unit for unit in kinds.that_run(group["resources"]) if unit.get("called")}
    dae = {kinds.place(runs["init dae"])}
    assert [called for called, unit in runs.items() if dae.issubset(kinds.of(unit).reads(unit))] == ["init later", "r0 app"]
    images = {kinds.place(each) for each in group["resources"] if each["kind"] == "image"}
    with_it = [called for called, unit in runs.items() if images.issubset(kinds.of(unit).reads(unit))]
    assert with_it == (["init dae", "init later", "r0 app"] if images else list(runs))
