# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a robot says that a switch does to a group, and why: from the same situation as the steps."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re

import pytest

from ansible_collections.k8s4r.robot.plugins.module_utils._engine import plan
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change import summary
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps.between import between
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.change.steps.situation import Situation, holdings, run_digests, stops
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.resources import kinds
from ansible_collections.k8s4r.robot.plugins.module_utils._engine.say import compare

RUNNING = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NeedDaemonReload": "no"}
UNITS = plan.UNIT_DIRECTORY
HOME = "/etc/k8s4r/groups/g-1"
STOPPED = {**RUNNING, "ActiveState": "inactive", "ExecMainCode": "0"}
BY_HAND = "changed on the robot by hand"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def task(name="r0 store", **directives):
    lines = "".join(f"{key}={value}\n" for key, value in {"ExecStart": "/bin/a", **directives}.items())
    env = f"{HOME}/env/{name[:2]}.env"
    return [
        plan.unit(f"k8s4r-task-{name.replace(' ', '-')}.service", f"[Service]\n{lines}", run="always", reads=[env], called=name),
        plan.file(env, "", secret=True),
    ]


def env(text, name="r0 store"):
    return plan.file(f"{HOME}/env/{name[:2]}.env", text, secret=True)


def init(script="a"):
    return plan.unit("k8s4r-init-a.service", f"[Service]\nExecStart={script}\n", run="init", called="init prepare")


class Contents:
    def __init__(self, old, new):
        self.old = {kinds.place(each): each.get("content", "") for each in old}
        self.new = {kinds.place(each): each.get("content", "") for each in new}

    def before(self, resource):
        return self.old.get(kinds.place(resource), "")

    def after(self, resource):
        return self.new[kinds.place(resource)]


def merged(resources):
    """The last of each place."""
    return list({kinds.place(each): each for each in resources}.values())


def kept(resources):
    """As the engine holds them: by digest."""
    return [
        {**{k: v for k, v in each.items() if k != "content"}, **({"digest": digest(each["content"])} if "content" in each else {})}
        for each in resources
    ]


def said(old, new, units=None, seen=None, dead=(), silent=(), finished=(), now=(), whole=True):
    """The lines for a group that was `old` and shall be `new`; `units` are in other states than running; see `steps.Situation`.
    `now`: what somebody has made of some of it. `whole`: no switch of it was interrupted.
    """
    old, new = merged(old), merged(new)
    contents = Contents([*old, *now], new)
    seen = {**{kinds.place(each): kinds.expected(each) for each in kept(now)}, **(seen or {})}
    before, after = kept(old), kept(new)
    found = dict.fromkeys(map(kinds.place, [*after, *before]))
    found.update({kinds.place(each): kinds.expected(each) for each in before})
    found.update(seen or {})
    shown = {**dict.fromkeys(kinds.units(before), RUNNING), **(units or {})}
    situation = Situation(
        after,
        before,
        found,
        shown,
        finished,
        run_digests(before, digest),
        dict(silent),
        dict(dead),
        holdings(before),
        stops(before),
    )
    todo = between(situation, digest)
    changes = summary.of_group("g-1", "default/shop/web", situation, todo, contents, whole)
    assert all(change["group"] == "default/shop/web" for change in changes)
    return [(change["unit"], change["does"], change["why"]) for change in changes]


BEFORE = [*task(), env('SPEED="1"\nMODE="slow"\n'), plan.unit("k8s4r-g_1.slice", "[Slice]\nMemoryMax=1\n")]


def test_nothing_changes():
    assert said(BEFORE, BEFORE) == []


def test_a_variable_restarts_its_task_and_is_named_without_its_value():
    assert said(BEFORE, [*BEFORE, env('SPEED="canary"\nMODE="slow"\nNEW="1"\n')]) == [("r0 store", "restart", ["env NEW", "env SPEED"])]


def test_a_command_and_limits_are_told_apart():
    new = [*BEFORE[2:], *task(ExecStart="/bin/b", MemoryMax="5", CPUQuota="5%", After="other.service"), BEFORE[1]]
    assert said(BEFORE, [*new, env('SPEED="1"\nMODE="slow"\n')]) == [("r0 store", "restart", ["command", "limits"])]


def test_how_a_task_runs_comes_before_its_variables_and_a_port_is_one_thing():
    ports = 'NOMAD_ADDR_web="1:2"\nNOMAD_HOST_PORT_web="2"\nNOMAD_PORT_web="2"\nNOMAD_PORT_WEB="2"\nNOMAD_PORT="2"\n'
    new = [*task(ExecStart="/bin/b")[:1], env('SPEED="1"\nMODE="slow"\n' + ports), BEFORE[-1]]
    assert said(BEFORE, new) == [("r0 store", "restart", ["command", "port web", "env NOMAD_PORT"])]


def test_of_an_instance_with_hooks_each_task_says_what_is_its_own():
    def instance(script, speed):
        reads = [
            path for name in ("r0 hook", "r1 main") for path in (f"{HOME}/env/{name[:2]}.env", f"{UNITS}/{name.replace(' ', '-')}.service")
        ]
        made = []
        for name, run in (("r0 hook", script), ("r1 main", "/bin/main")):
            text = f"[Service]\nEnvironmentFile={HOME}/env/{name[:2]}.env\nExecStart={run}\n"
            made.append(plan.unit(f"{name.replace(' ', '-')}.service", text, run="always", reads=reads, called=name))
        return [*made, env("", "r0"), env(f'SPEED="{speed}"\n', "r1")]

    assert said(instance("a", 1), instance("b", 1)) == [("r0 hook", "restart", ["command"]), ("r1 main", "restart", ["r0 hook changes"])]
    assert said(instance("a", 1), instance("b", 2)) == [("r0 hook", "restart", ["command"]), ("r1 main", "restart", ["env SPEED"])]


def container(name, command, speed):
    """A task in a container, which takes in what its sibling has, too."""
    paths = {each: f"{HOME}/env/task-{each}-0a1b2c3d" for each in ("a", "b")}
    reads = [f"{path}.{kind}" for path in paths.values() for kind in ("env", "json")]
    described = {"body": {"Cmd": [command], "HostConfig": {"Mounts": []}, "Image": "x"}, "user": ""}
    return [
        plan.unit(f"k8s4r-task-{name}-0a1b2c3d.service", "[Service]\nExecStart=run\n", run="always", reads=reads, called=f"r0 {name}"),
        plan.file(f"{paths[name]}.json", json.dumps(described)),
        plan.file(f"{paths[name]}.env", "".join(f'V{number}="{speed}"\n' for number in range(9)), secret=True),
    ]


def test_of_a_container_its_settings_are_told_before_its_variables_and_only_its_own():
    other = container("b", "/bin/b", 1)
    (_name, does, why), sibling = said([*container("a", "/bin/a", 1), *other], [*container("a", "/bin/c", 2), *other])
    assert (does, why[0], why[-1], len(why)) == ("restart", "command", "env V8", 10)
    assert sibling == ("r0 b", "restart", ["r0 a changes"])


def test_the_program_of_a_last_hook_is_its_command():
    def hook(program):
        return [plan.unit("a.service", f"[Service]\nType=oneshot\nExecStop={program}\n", run="always", called="r0 last")]

    assert said(hook("a"), hook("b")) == [("r0 last", "restart", ["command"])]


def test_of_checks_only_what_is_theirs_is_said():
    def group(stop, interval):
        unit = plan.unit(
            "a.service", f"[Service]\nExecStart=a\nExecStop={stop}\n", run="always", called="r0 store", checks=f"{plan.CHECKS}/a"
        )
        return [unit, plan.file(f"{plan.CHECKS}/a", json.dumps({"stop": stop, "checks": interval}))]

    assert said(group("a", 1), group("b", 1)) == [("r0 store", "restart", ["how it is stopped"])]
    assert said(group("a", 1), group("a", 2)) == [("", "in place", ["health checks of r0 store"])]


def watched(id="a", name="r0 store", **with_):
    """A task in its directory, and what of it is checked, found and bounded."""
    checks, home = f"{plan.CHECKS}/{id}", f"{plan.TASKS}/{id}"
    there = {
        "checks": plan.file(checks, "{}"),
        "found": plan.file(f"{plan.REGISTERED}/{id}-0a1b2c3d.json", "{}", label=f"registration of {name[:2]} api"),
        "disk": plan.quota(id, ord(id), 4096, [home], "here", label=f"disk limit of {name}"),
    }
    unit = plan.unit(f"{id}.service", "[Service]\n", run="always", called=name, checks=checks if with_.get("checks") else "")
    return [plan.directory(home), unit, *(each for what, each in there.items() if with_.get(what))]


def test_what_goes_and_is_no_unit_is_said_where_its_task_stays():
    gone = ["without disk limit of r0 store", "without health checks of r0 store", "without registration of r0 api"]
    both = watched(checks=True, found=True, disk=True)
    assert said(both, watched()) == [("", "in place", gone)]
    assert said([*both, *BEFORE], [*watched(), *BEFORE[:1], env("NEW="), BEFORE[-1]])[-1] == ("", "in place", gone)
    assert said(watched(checks=True, disk=True), watched(checks=True)) == [("", "in place", gone[:1])]
    # Of a task that goes, it is told that it does.
    other = watched("b", "r1 store", checks=True, found=True, disk=True)
    assert said([*both, *other], both) == []
    assert said(both, []) == []


def test_what_helps_tasks_is_told_by_its_label_and_not_by_what_is_in_its_unit():
    def memory(size, label="shared memory"):
        return [*BEFORE, plan.unit("k8s4r-memory.service", f"[Service]\nExecStart={size}\nRestart=no\n", label=label)]

    assert said(memory(1), memory(2)) == [("", "in place", ["shared memory"])]
    assert said(memory(1, ""), memory(2, "")) == [("", "in place", ["unit k8s4r-memory.service"])]


def test_a_task_that_moves_into_a_pod_has_not_lost_the_unit_of_that():
    pod = plan.unit("k8s4r-pod.service", "[Service]\n")
    moved = {**task(NetworkNamespacePath="/run/a")[0], "reads": [BEFORE[1]["path"], f"{UNITS}/{pod['name']}"]}
    assert said(BEFORE, [moved, *BEFORE[1:], pod]) == [("r0 store", "restart", ["network mode"])]
    # Where it was there, somebody has removed it.
    assert said([moved, *BEFORE[1:], pod], [moved, *BEFORE[1:], pod], seen={kinds.place(pod): None}) == [
        ("r0 store", "restart", ["its unit was missing"])
    ]


def test_a_task_that_takes_in_one_file_less_says_so():
    leader = {**BEFORE[0], "reads": [*BEFORE[0]["reads"], f"{HOME}/leader"]}
    assert said([leader, *BEFORE[1:]], BEFORE) == [("r0 store", "restart", ["what it starts with"])]
    assert said(BEFORE, [leader, *BEFORE[1:]]) == [("r0 store", "restart", ["what it starts with"])]


def scheduled(*names, command="a", speed=1):
    """A group of which a schedule runs these tasks."""
    made = []
    for name in names:
        path, id = f"{HOME}/env/{name[3:]}.env", name.replace(" ", "-")
        text = f"[Service]\nEnvironmentFile={path}\nExecStart={command}\n"
        made += [plan.directory(f"{plan.TASKS}/{id}"), plan.unit(f"{id}.service", text, reads=[path], called=name)]
        made += [plan.file(path, f'SPEED="{speed}"\n', secret=True)]
    run = plan.unit("run.service", f"[Service]\nExecStart=wait {' '.join(names)}\n", called="run")
    return [*made, run, plan.unit("a.timer", "[Timer]\n", run="always", called="schedule")]


IDLE = {f"r{number}-{name}.service": STOPPED for number in (0, 1) for name in ("report", "side")} | {"run.service": STOPPED}


def test_what_a_schedule_runs_is_told_by_the_names_of_its_tasks():
    old = scheduled("r0 report")
    assert said([], old) == [("", "new", ["r0 report", "schedule"])]
    assert said(old, scheduled("r0 report", command="b", speed=2), units=IDLE) == [("r0 report", "in place", ["command", "env SPEED"])]
    assert said(old, scheduled("r0 report", "r0 side"), units=IDLE) == [("r0 side", "new", [])]
    assert said(old, scheduled("r0 report", "r1 report"), units=IDLE) == [("r1 report", "new", [])]
    # What goes is told elsewhere, and what waits for the tasks changes with them.
    assert said(scheduled("r0 report", "r0 side"), old, units=IDLE) == []


def test_what_waits_for_the_tasks_of_a_schedule_is_told_where_somebody_has_been_at_it():
    old = scheduled("r0 report")
    edited, place = [plan.unit("run.service", "[Service]\nExecStart=b\n", called="run")], kinds.place(old[-2])
    assert said(old, old, units=IDLE, now=edited) == [("", "in place", [f"{BY_HAND}: command"])]
    assert said(old, old, units=IDLE, seen={place: None}) == [("", "in place", ["missing: unit run.service"])]


def test_a_task_that_a_schedule_runs_from_now_on_stops_and_is_told_once():
    service = [{**each, "run": "always"} if each.get("called") == "r0 report" else each for each in scheduled("r0 report")[:3]]
    assert said(service, scheduled("r0 report", command="b", speed=2)) == [
        ("r0 report", "stop", ["a schedule starts it"]),
        ("schedule", "new", []),
    ]


def test_a_new_group_is_one_line_with_its_units():
    assert said([], [*BEFORE, *task("r1 store")]) == [("", "new", ["r0 store", "r1 store"])]


def test_a_new_task_of_a_group_is_new_and_its_directories_are_not_worth_a_word():
    new = [*BEFORE, plan.directory("/var/lib/k8s4r/tasks/b"), *task("r1 store")]
    assert said(BEFORE, new) == [("r1 store", "new", [])]


def test_limits_of_the_group_and_files_that_a_proxy_watches_change_in_place():
    old = [*BEFORE, plan.file(f"{HOME}/proxy/listeners.json", "{}")]
    new = [*BEFORE[:-1], plan.unit("k8s4r-g_1.slice", "[Slice]\nMemoryMax=2\n"), plan.file(f"{HOME}/proxy/listeners.json", "[]")]
    assert said(old, new) == [("", "in place", ["limits", "proxy/listeners"])]


@pytest.mark.parametrize("why", ["down since 2026-11-26T04:01:02Z: its program ended with status 3", None])
def test_what_was_dead_is_started_and_of_what_it_died(why):
    unit = "k8s4r-task-r0-store.service"
    dead = {unit: why} if why else {}
    assert said(BEFORE, BEFORE, units={unit: STOPPED}, dead=dead) == [("r0 store", "start", [why or "it was not running"])]


def test_why_a_unit_was_down_is_told_apart_from_what_has_changed():
    unit = "k8s4r-task-r0-store.service"
    new = [*task(MemoryMax="5"), env('SPEED="2"\nMODE="slow"\n'), BEFORE[-1]]
    assert said(BEFORE, new, units={unit: STOPPED}, dead={unit: "down since then: it was stopped"}) == [
        ("r0 store", "start", ["down since then: it was stopped; changed: limits", "env SPEED"])
    ]


def brings(*items):
    """The artifacts of a task: where each goes, and what it is."""
    listed = [
        {"sha256": sha, "archive": archive, "subdir": "", "name": name, "mode": mode, "to": f"/var/lib/k8s4r/tasks/t/{to}"}
        for sha, archive, name, mode, to in items
    ]
    content = json.dumps({"artifacts": listed})
    return plan.artifacts("/var/lib/k8s4r/tasks/t/artifacts", "r0 store", content, "u", "g", "job.yml")


def with_artifacts(*items):
    unit = plan.unit("k8s4r-task-r0-store.service", "[Service]\n", run="once", reads=[brings()["path"]], called="r0 store", done="/done")
    return [brings(*items), unit]


APP, CONFIG, MODEL = (
    ("1", "tar.gz", "app.tar.gz", "any", "local"),
    ("1", "", "c.json", "any", "local/etc"),
    ("1", "", "x", "file", "alloc/m"),
)


def test_artifacts_are_named_by_where_they_go():
    app, config, model = (("2", *each[1:]) for each in (APP, CONFIG, MODEL))
    old = with_artifacts(APP, CONFIG, MODEL)
    assert said(old, with_artifacts(app, CONFIG, MODEL)) == [("r0 store", "restart", ["artifact app.tar.gz in local"])]
    assert said(old, with_artifacts(APP, config, model)) == [
        ("r0 store", "restart", ["artifact local/etc/c.json", "artifact alloc/m"]),
    ]
    assert said(old, with_artifacts(APP, CONFIG)) == [("r0 store", "restart", ["artifact alloc/m"])]
    lost = {**kinds.expected(kept(old)[0]), "content": ""}
    assert said(old, old, seen={old[0]["path"]: lost}) == [("r0 store", "restart", ["files of its artifacts"])]


def test_what_had_come_to_its_end_runs_again():
    unit = "k8s4r-task-r0-store.service"
    changed = with_artifacts(("2", *APP[1:]))
    assert said(with_artifacts(APP), changed, units={unit: STOPPED}, finished={unit}) == [
        ("r0 store", "run again", ["artifact app.tar.gz in local"]),
    ]


def test_another_script_of_a_template_is_said_although_no_file_has_it():
    def group(argument):
        told = {"run": {"user": argument}, "scripts": {f"{HOME}/x": {"name": "x", "argv": ["/bin/a", argument], "timeout": 5.0}}}
        return [plan.unit("a.service", "[Service]\n", run="always", called="r0 store", told=told)]

    assert said(group("a"), group("a")) == []
    assert said(group("a"), group("b")) == [("r0 store", "in place", ["changeScript"])]


def test_what_runs_and_does_not_listen_restarts():
    why = "nobody listens on port 80 of 127.0.0.1"
    assert said(BEFORE, BEFORE, silent={"k8s4r-task-r0-store.service": why}) == [("r0 store", "restart", [why])]


def test_what_requires_a_changed_init_task_restarts_with_it():
    def group(script):
        return [init(script), *task(Requires="k8s4r-init-a.service"), *task("r1 store")]

    assert said(group("a"), group("b")) == [
        ("init prepare", "restart", ["command"]),
        ("r0 store", "restart", ["init prepare runs again"]),
    ]


def test_what_was_to_leave_and_is_wanted_again_is_said():
    leaving = [{**each, "leaving": True} for each in task("r1 store")]
    assert said([*BEFORE, *leaving], [*BEFORE, *task("r1 store")]) == [("r1 store", "in place", ["it stays here after all"])]


def test_what_was_changed_by_hand_is_said():
    directory = plan.directory("/var/lib/k8s4r/tasks/a", "u", "u")
    wrong = {**kinds.expected(directory), "mode": "0777"}
    assert said([*BEFORE, directory], [*BEFORE, directory], seen={directory["path"]: wrong}) == [
        ("", "in place", ["directory /var/lib/k8s4r/tasks/a"])
    ]


def test_a_unit_that_was_changed_by_hand_is_not_told_as_a_change_of_the_job():
    edited = task(ExecStart="/bin/b", MemoryMax="5")[:1]
    assert said(BEFORE, BEFORE, now=edited) == [("r0 store", "restart", [f"{BY_HAND}: command, limits"])]


def test_what_the_job_changes_is_told_apart_from_what_was_changed_by_hand():
    edited, new = [env('SPEED="9"\n')], [*BEFORE, *task(ExecStart="/bin/b")[:1]]
    assert said(BEFORE, new, now=edited) == [("r0 store", "restart", ["command", f"{BY_HAND}: env MODE, env SPEED"])]
    edited = task(ExecStart="/bin/c", MemoryMax="5")[:1]
    assert said(BEFORE, new, now=edited) == [("r0 store", "restart", ["command", "limits", f"its unit was {BY_HAND}, too"])]


def test_what_changes_in_place_and_was_changed_by_hand_is_said():
    edited = [plan.unit("k8s4r-g_1.slice", "[Slice]\nMemoryMax=9\n")]
    assert said(BEFORE, BEFORE, now=edited) == [("", "in place", [f"{BY_HAND}: limits"])]


def test_what_an_interrupted_switch_has_left_was_not_changed_by_hand():
    edited = task(ExecStart="/bin/b")[:1]
    assert said(BEFORE, BEFORE, now=edited, whole=False) == [("r0 store", "restart", ["command"])]


def test_a_unit_that_was_down_and_has_lost_its_file_is_missing_and_not_new():
    timer = plan.unit("k8s4r-run-a.timer", "[Timer]\nOnCalendar=*-*-*\n", run="always", called="schedule")
    down = {timer["name"]: {"LoadState": "not-found", "ActiveState": "inactive"}}
    dead = {timer["name"]: "down: there is no such unit"}
    lines = said([*BEFORE, timer], [*BEFORE, timer], units=down, seen={kinds.place(timer): None}, dead=dead)
    assert lines == [("schedule", "start", ["its unit was missing"])]
    lines = said([timer], [timer], units=down, seen={kinds.place(timer): None}, dead=dead)
    assert lines == [("schedule", "start", ["its unit was missing"])]


def test_files_that_somebody_has_removed_were_missing():
    checks = plan.file("/etc/k8s4r/checks/a", "{}")
    checked = [{**BEFORE[0], "checks": checks["path"]}, *BEFORE[1:], checks]
    gone = {checks["path"]: None, BEFORE[1]["path"]: None}
    assert said(checked, checked, seen=gone) == [
        ("r0 store", "restart", ["missing: env/r0.env"]),
        ("", "in place", ["missing: health checks of r0 store"]),
    ]


def test_no_directive_of_systemd_is_told_that_the_compiler_writes():
    texts = [path.read_text() for path in (pathlib.Path(__file__).parents[2] / "golden/cases").glob("*.txt")]
    names = {name for text in texts for name in re.findall(r"^[ +-] +\| ([A-Z][A-Za-z0-9]+)=", text, re.MULTILINE) if not name.isupper()}
    assert {"ConditionPathExists", "OnCalendar", "MemoryMax"} <= names
    # That is the address of a pod.
    names.remove("Environment")
    assert [word for name in sorted(names) for word in summary.of_unit("", f"{name}=a\n") if not word[0].islower()] == []


def test_a_schedule_and_the_type_of_a_job_are_told_in_its_own_words():
    assert summary.of_unit("OnCalendar=*-*-*\n", "OnCalendar=*-*-1\n") == ["schedule"]
    assert summary.of_unit("", "ConditionPathExists=!/done\n") == ["type"]


def test_a_unit_whose_file_somebody_has_removed_is_not_told_by_all_that_is_in_it():
    unit = BEFORE[0]
    assert said(BEFORE, BEFORE, seen={kinds.place(unit): None}) == [("r0 store", "restart", ["its unit was missing"])]


def test_what_goes_is_not_said_here():
    assert said([*BEFORE, *task("r1 store")], BEFORE) == []


def group(*names):
    target = plan.unit("k8s4r-group-g-1.target", f"[Unit]\nWants={' '.join(names)}\n", run="always")
    return [each for name in names for each in task(name)] + [target]


def test_where_only_the_target_changes_because_an_instance_goes_nothing_starts():
    assert said(group("r0 store", "r1 store"), group("r0 store")) == []


def test_a_group_whose_target_is_down_starts():
    down = {"k8s4r-group-g-1.target": {**RUNNING, "ActiveState": "inactive", "SubState": "dead"}}
    assert said(group("r0 store"), group("r0 store"), units=down) == [("", "start", [])]


def test_an_interrupted_switch_is_rolled_back_first():
    changes = summary.of_robot(journal("r1", "forward", "committed"), ["a.service (down)"])
    assert [(change["group"], change["does"]) for change in changes] == [
        ("", "start a.service (down)"),
        ("", "rolls back release r1, whose switch was interrupted"),
    ]
    assert summary.of_robot(None, []) == []


def test_one_that_could_only_not_be_written_down_is_finished():
    unwritten = journal("r2", "commit", "commit")
    (change,) = summary.of_robot(unwritten, [])
    assert change["does"] == "finishes release r2, whose switch was interrupted"
    assert summary.mends({**unwritten, "behind": [journal("r1", "stuck")]}) == [
        "finish release r2, whose switch was interrupted",
        "roll back release r1, whose switch was interrupted",
    ]


def journal(release, *phases):
    return {"release": release, "groups": {f"g{number}": {"phase": phase, "errors": []} for number, phase in enumerate(phases)}}


def test_the_variables_of_an_environment_file():
    assert compare.variables('A="1"\nB="x \\" y\nz"\nC=""\n') == {"A": "1", "B": 'x \\" y\nz', "C": ""}
    assert compare.variables("") == {}
    for text in ("A=1\n", '{"a"="b"}', 'A="1', "[Unit]\nA=1\n"):
        assert compare.variables(text) is None
