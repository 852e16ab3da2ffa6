# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates on robots: where the files are and whose, what a task notices of a change, and that nothing leads root astray."""

from __future__ import annotations

import typing as t

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, plans, shell, without_groups
from tests.integration.engine.harness import Machine, pid

machine = each_of(ENDS)

# Notes each signal that it gets, with what it finds in its file then; its child would note them too.
WATCHER = """
import os, pathlib, signal, sys, time
notes, own = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"]), os.environ["NOMAD_TASK_NAME"]
who = own
watched = pathlib.Path(os.environ["WATCHED"])

def note(number, _frame):
    with open(notes / (who + ".signals"), "a") as file:
        file.write(f"{signal.Signals(number).name} {watched.read_text()}\\n")

for each in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(each, note)
if not os.fork():
    who = own + ".child"
    while True:
        time.sleep(0.05)
with open(notes / (own + ".starts"), "a") as file:
    file.write(watched.read_text() + "\\n")
(notes / (own + ".up")).touch()
while True:
    time.sleep(0.05)
"""

WAYS: dict[str, dict[str, t.Any]] = {
    "exec": {},
    "shared": {"isolation": {"pid": "group"}},
    "host": {"isolation": {"pid": "host"}},
    "rawexec": {"driver": "raw_exec"},
}
# What fails is not tried for long.
SOON = {"minHealthyTime": "1s", "healthyDeadline": "30s"}
NO_MORE = {"attempts": 0, "mode": "fail"}
STILL = "echo $$; touch $NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.up; exec sleep 1000"


def template(place: str, text: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"destPath": place, "embeddedTmpl": text, **keys}


def watcher(way: str, *templates: dict[str, t.Any]) -> dict[str, t.Any]:
    room, _slash, rest = templates[0]["destPath"].partition("/")
    directory = {"local": "NOMAD_TASK_DIR", "secrets": "NOMAD_SECRETS_DIR"}[room]
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", WATCHER]}
    env = {"WATCHED": f"${{{directory}}}/{rest}"}
    return {"name": way, "config": {"execConfig": program}, "env": env, "templates": list(templates), **WAYS[way]}


def deployed(machine: Machine, *tasks: dict[str, t.Any], **keys: t.Any) -> dict[str, t.Any]:
    """The plan of a job that is up."""
    plan = job(machine, "web", *tasks, **keys)
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    for task in tasks:
        machine.until(f"ls {alloc(machine)}/{task['name']}.up >/dev/null 2>&1")
    return plan


def alloc(machine: Machine) -> str:
    return machine.sh("echo /var/lib/k8s4r/groups/web-g-*/alloc").strip()


def unit(machine: Machine, name: str) -> str:
    return machine.sh(f"basename /etc/systemd/system/k8s4r-task-web-g-r0-{name}-*.service").strip()


def directory(machine: Machine, name: str) -> str:
    return machine.sh(f"echo /var/lib/k8s4r/tasks/web-g-r0-{name}-*").strip()


def seen(machine: Machine, name: str, path: str) -> str:
    """A file as the task's program finds it."""
    return machine.sh(f"nsenter -t $(systemctl show -p MainPID --value {unit(machine, name)}) -m cat {directory(machine, name)}/{path}")


def test_files_are_there_before_the_program_with_their_owner_and_mode(machine):
    files = [
        template("local/deep/er/app.conf", "one\n\n"),
        template("secrets/token", "two", perms="0400"),
        template("${NOMAD_ALLOC_DIR}/list-${NOMAD_TASK_NAME}", "three", perms="640", owner="daemon"),
        template("secrets/deep/token", "four", perms="0440", owner="root"),
    ]
    look = (
        "cd $NOMAD_TASK_DIR; cat deep/er/app.conf $NOMAD_SECRETS_DIR/token $NOMAD_ALLOC_DIR/list-$NOMAD_TASK_NAME >all; "
        "stat -c '%U:%G %a' deep/er deep/er/app.conf $NOMAD_SECRETS_DIR/token $NOMAD_SECRETS_DIR/deep $NOMAD_SECRETS_DIR/deep/token"
        " $NOMAD_SECRETS_DIR $NOMAD_ALLOC_DIR/list-$NOMAD_TASK_NAME >modes; "
    )
    tasks = [shell(way, look + STILL, templates=files, **WAYS[way]) for way in WAYS]
    deployed(machine, *tasks)
    user = machine.sh("grep -o '^k8s4r-web-g-[^:]*' /etc/passwd").strip()
    for way in WAYS:
        home = directory(machine, way)
        assert machine.sh(f"cat {home}/local/all") == "one\n\ntwothree"
        modes = machine.sh(f"cat {home}/local/modes").splitlines()
        assert modes == [f"{user}:{user} {mode}" for mode in ("755", "644", "400", "755")] + [
            f"root:{user} 440",
            f"{user}:{user} 700",
            f"daemon:{user} 640",
        ], way
    # What they were made of is for root alone.
    assert set(machine.sh("find /etc/k8s4r/groups/*/templates -type f -printf '%U %m\\n'").split("\n")) == {"0 600", ""}
    machine.absent("find /var/lib/k8s4r/tasks /run/k8s4r/secrets -name '*k8s4r~' | grep .")
    nobodys = job(machine, "web", *tasks, shell("more", STILL, templates=[template("local/a", "", owner="nosuch")]))
    refused = machine.deploy(nobodys)
    assert (refused["status"], len(refused["errors"])) == ("refused", 1)
    assert refused["errors"][0].endswith("templates[0].owner: this robot has no user nosuch; create it, or name another")


def test_secrets_are_there_again_after_each_start_and_nothing_else_is(machine):
    for way in ("exec", "rawexec"):
        deployed(machine, shell(way, "ls $NOMAD_SECRETS_DIR >>$NOMAD_ALLOC_DIR/found; touch $NOMAD_SECRETS_DIR/mine; " + STILL,
                                templates=[template("secrets/token", "t")], **WAYS[way]))  # fmt: skip
        # As at a boot: without a controller.
        machine.sh(f"rm {alloc(machine)}/{way}.up; systemctl kill -s KILL {unit(machine, way)}")
        machine.until(f"[ -e {alloc(machine)}/{way}.up ]")
        machine.sh(f"rm {alloc(machine)}/{way}.up; systemctl stop k8s4r-group-web-g-*.target; rm -rf /run/k8s4r/secrets")
        machine.sh("systemctl start $(basename /etc/systemd/system/k8s4r-group-web-g-*.target)")
        machine.until(f"[ -e {alloc(machine)}/{way}.up ]")
        assert machine.sh(f"cat {alloc(machine)}/found") == "token\n" * 3
        assert machine.deploy(without_groups(job(machine, "web", shell(way, STILL))))["status"] == "committed"
        machine.absent("ls /run/k8s4r/secrets /etc/k8s4r/groups 2>/dev/null | grep web")


def test_a_changed_file_restarts_the_task_or_signals_its_program_alone_or_nobody(machine):
    def tasks(text: str, room: str = "local") -> list[dict[str, t.Any]]:
        modes = {
            "exec": {"changeMode": "signal", "changeSignal": "SIGHUP"},
            "shared": {"changeMode": "signal", "changeSignal": "SIGUSR1"},
            "host": {"changeMode": "signal", "changeSignal": "SIGHUP"},
            "rawexec": {"changeMode": "signal", "changeSignal": "SIGUSR1"},
        }
        quiet = template("local/quiet", text, changeMode="noop")
        named = [watcher(way, template(f"{room}/watched", text, **keys), quiet) for way, keys in modes.items()]
        # One of which nothing else changes.
        return [*named, shell("quiet", STILL, templates=[quiet]), shell("anew", STILL, templates=[template("local/watched", text)])]

    for room in ("local", "secrets"):
        machine.clean(engine=True)
        deployed(machine, *tasks("one", room))
        before = {name: pid(machine, unit(machine, name)) for name in (*WAYS, "quiet", "anew")}
        for text in ("two", "three"):
            plan = job(machine, "web", *tasks(text, room))
            prepared = machine.prepare(plan)
            said = {(change["unit"], change["does"], *change["why"]) for change in prepared["summary"]}
            signals = {"exec": "SIGHUP", "shared": "SIGUSR1", "host": "SIGHUP", "rawexec": "SIGUSR1"}
            assert said == {
                *((f"r0 {way}", f"signal {signal}", f"template {room}/watched") for way, signal in signals.items()),
                *((f"r0 {way}", "in place", "template local/quiet") for way in (*signals, "quiet")),
                ("r0 anew", "restart", "template local/watched"),
            }
            assert text not in str(prepared)
            assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
            for way, signal in signals.items():
                machine.until(f"[ \"$(tail -n 1 {alloc(machine)}/{way}.signals)\" = '{signal} {text}' ]")
                machine.absent(f"test -e {alloc(machine)}/{way}.child.signals")
                assert machine.sh(f"cat {alloc(machine)}/{way}.starts") == "one\n"
                assert machine.sh(f"cat {directory(machine, way)}/local/quiet") == text
            after = {name: pid(machine, unit(machine, name)) for name in before}
            assert {name for name in before if before[name] != after[name]} == {"anew"}
            before = after
            assert seen(machine, "anew", "local/watched") == seen(machine, "quiet", "local/quiet") == text
        for way in signals:
            assert machine.sh(f"wc -l <{alloc(machine)}/{way}.signals") == "2\n", way
        assert machine.deploy(plan)["status"] == "recorded"


def test_a_program_that_dies_of_the_signal_is_told_and_one_that_stays_down_of_it_goes_back(machine):
    def tasks(text: str) -> list[dict[str, t.Any]]:
        files = [template("local/watched", text, changeMode="signal", changeSignal="SIGHUP")]
        return [shell("dies", STILL, templates=files, restartPolicy={"attempts": 3, "delay": "0s"}), watcher("exec", *files)]

    deployed(machine, *tasks("one"))
    before = {name: pid(machine, unit(machine, name)) for name in ("dies", "exec")}
    result = machine.deploy(job(machine, "web", *tasks("two")))
    assert result["status"] == "committed"
    (notice,) = result["notices"]
    said = f"r0 dies ({unit(machine, 'dies')}): its program ended when it was told of changed files (signal SIGHUP), and was started again"
    assert notice == said
    assert {name for name in before if pid(machine, unit(machine, name)) != before[name]} == {"dies"}
    assert (machine.state(unit(machine, "dies")), seen(machine, "dies", "local/watched")) == ("active", "two")

    def single(text: str) -> dict[str, t.Any]:
        return shell("dies", STILL, templates=tasks(text)[0]["templates"], restartPolicy=NO_MORE)

    machine.clean()
    deployed(machine, single("one"))
    result = machine.deploy(job(machine, "web", single("two")))
    assert result["status"] == "rolled-back"
    assert result["errors"][-1] == f"default/web/g: {said.partition(', and')[0]}", result
    assert (machine.state(unit(machine, "dies")), seen(machine, "dies", "local/watched")) == ("active", "one")


def test_when_a_deployment_goes_back_the_former_file_is_put_back_and_signalled(machine):
    def tasks(text: str, other: str, *names: str) -> list[dict[str, t.Any]]:
        state = template("local/state", "new", changeMode="signal", changeSignal="SIGUSR1")
        included = [template(f"local/conf.d/{name}", "x") for name in names]
        return [
            watcher("exec", template("local/watched", text, changeMode="signal", changeSignal="SIGHUP"), state),
            shell("other", other, restartPolicy=NO_MORE, templates=[template("local/other", "x"), *included]),
        ]

    up = "[ ! -e conf.d/50-bad ] || exit 1; touch $NOMAD_ALLOC_DIR/other.up; exec sleep 1000"
    deployed(machine, *tasks("one", up, "10-a"))
    before = pid(machine, unit(machine, "exec"))
    # While it runs, it writes to a file of which nothing changes.
    machine.sh(f"echo run >{directory(machine, 'exec')}/local/state")
    # Of two signals that come before the program looks, there is one.
    heard = "until grep -qs two $NOMAD_ALLOC_DIR/exec.signals; do sleep 0.1; done; exit 1"
    failed = machine.deploy(job(machine, "web", *tasks("two", heard, "20-a", "50-bad")))
    assert failed["status"] == "rolled-back", failed
    # What only that release had has not stopped the last good one.
    assert machine.sh(f"ls {directory(machine, 'other')}/local/conf.d; cat {directory(machine, 'exec')}/local/state") == "10-a\nrun\n"
    machine.until(f"[ $(cat {alloc(machine)}/exec.signals | wc -l) = 2 ]")
    assert machine.sh(f"cat {alloc(machine)}/exec.signals") == "SIGHUP two\nSIGHUP one\n"
    assert seen(machine, "exec", "local/watched") == "one"
    assert pid(machine, unit(machine, "exec")) == before


def test_what_a_task_puts_in_the_way_is_said_and_leads_nowhere(machine):
    """Of a file that is to change while the task runs, and at its start."""

    def tasks(text: str, mode: str) -> list[dict[str, t.Any]]:
        keys = {"changeMode": "signal", "changeSignal": "SIGHUP"} if mode == "signal" else {"changeMode": mode}
        return [{**watcher("exec", template("local/conf/watched", text, **keys)), "restartPolicy": NO_MORE}]

    for mode in ("signal", "restart"):
        machine.clean(engine=True)
        deployed(machine, *tasks("one", mode), update=SOON)
        home = directory(machine, "exec")
        # Beside it, nothing is in the way.
        machine.sh(f"mkdir {home}/local/conf/watched.k8s4r~ {home}/local/conf/.x.k8s4r~")
        machine.sh("mkdir -p /root/elsewhere; echo mine >/root/elsewhere/watched")
        machine.sh(f"mv {home}/local/conf {home}/local/kept; ln -s /root/elsewhere {home}/local/conf")
        failed = machine.deploy(job(machine, "web", *tasks("two", mode), update=SOON))
        assert failed["status"] in ("rolled-back", "failed"), failed
        assert "local/conf is a link or a file, not a directory; remove it" in str(failed["errors"]), failed
        # The former file was not touched.
        assert "not all files of the last good release are back" not in str(failed["errors"])
        assert machine.sh("cat /root/elsewhere/watched; ls /root/elsewhere") == "mine\nwatched\n"
        # In the place of the file itself, a directory is in the way, and a link is not.
        machine.sh(f"rm {home}/local/conf; mkdir -p {home}/local/conf/watched")
        failed = machine.deploy(job(machine, "web", *tasks("two", mode), update=SOON))
        assert "template local/conf/watched: a directory is in its place; remove it, or name another destPath" in str(failed["errors"])
        machine.sh(f"rmdir {home}/local/conf/watched; ln -s /root/elsewhere/watched {home}/local/conf/watched")
        done = machine.deploy(job(machine, "web", *tasks("two", mode), update=SOON))
        assert done["status"] == "committed", "\n".join([*done["errors"], str(done["changes"])])
        assert machine.sh(f"stat -c %F {home}/local/conf/watched; cat {home}/local/conf/watched") == "regular file\ntwo"
        assert machine.sh("cat /root/elsewhere/watched") == "mine\n"


def test_variables_of_a_template_win_and_are_nowhere_to_be_read(machine):
    def task(word: str) -> dict[str, t.Any]:
        text = f"# of the fleet\nWORD='{word}'\nNOMAD_DC=elsewhere\n"
        keep = "echo $WORD $NOMAD_DC >$NOMAD_TASK_DIR/found; "
        return shell("one", keep + STILL, env={"WORD": "plain"}, templates=[template("secrets/one.env", text, env=True, perms="0600")])

    deployed(machine, task("canary one"))
    assert seen(machine, "one", "local/found") == "canary one elsewhere\n"
    prepared = machine.prepare(job(machine, "web", task("canary two")))
    assert [(change["unit"], change["does"]) for change in prepared["summary"]] == [("r0 one", "restart")]
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    machine.until(f"grep -q 'canary two' {directory(machine, 'one')}/local/found")
    assert "canary" not in str(prepared)
    machine.absent("grep -rl canary /etc/systemd/system /run/k8s4r/results; journalctl --sync; journalctl | grep canary")
    assert set(machine.sh("grep -rl canary /etc/k8s4r | xargs stat -c '%U %a'").split("\n")) == {"root 600", ""}


def test_init_tasks_and_hooks_have_templates_and_run_again_for_them(machine):
    note = "cat $NOMAD_TASK_DIR/it >>$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.ran"

    def group(first: str, hook: str) -> dict[str, t.Any]:
        before = shell("hook", note, lifecycle={"hook": "prestart"}, templates=[template("local/it", hook + "\n")])
        tasks = [before, shell("main", STILL)]
        return {"name": "g", "initTasks": [shell("first", note, templates=[template("local/it", first + "\n")])], "tasks": tasks}

    begun = set()
    for first, hook, first_ran, hook_ran in (
        ("one", "one", "one", "one"),
        # What comes after an init task starts again with it; what comes before a hook does not.
        ("two", "one", "one two", "one one"),
        ("two", "two", "one two", "one one two"),
        ("two", "two", "one two", "one one two"),
    ):
        (plan,) = plans(machine, {"name": "web", "taskGroups": [group(first, hook)]})
        assert machine.deploy(plan)["status"] in ("committed", "recorded")
        assert machine.sh(f"cat {alloc(machine)}/first.ran").split() == first_ran.split()
        assert machine.sh(f"cat {alloc(machine)}/hook.ran").split() == hook_ran.split()
        begun.add(pid(machine, unit(machine, "main")))
    assert len(begun) == 3


def test_a_hook_at_the_end_of_all_has_its_secrets_still(machine):
    hook = shell(
        "last",
        "cat $NOMAD_SECRETS_DIR/it >$NOMAD_ALLOC_DIR/last.ran",
        lifecycle={"hook": "poststop"},
        templates=[template("secrets/it", "it")],
    )
    (plan,) = plans(machine, {"name": "web", "taskGroups": [{"name": "g", "tasks": [hook, shell("main", STILL)]}]})
    assert machine.deploy(plan)["status"] == "committed"
    machine.absent(f"test -e {alloc(machine)}/last.ran")
    machine.sh("systemctl stop $(basename /etc/systemd/system/k8s4r-group-web-g-*.target) 'k8s4r-task-web-g-*'")
    machine.until(f"[ -s {alloc(machine)}/last.ran ]")
    assert machine.sh(f"cat {alloc(machine)}/last.ran") == "it"


def test_a_script_runs_as_the_task_in_its_walls_and_where_it_fails_the_deployment_goes_back(machine):
    where = "for each in mnt pid ipc uts; do readlink /proc/self/ns/$each; done"
    look = f"id -un; cat $NOMAD_TASK_DIR/watched $NOMAD_SECRETS_DIR/two; echo; {where}; [ $(cat $NOMAD_TASK_DIR/watched) != bad ]"

    def tasks(text: str, more: str = "") -> list[dict[str, t.Any]]:
        script = {"command": "/bin/sh", "args": ["-c", f"({look}{more}) >>$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.told"]}
        named = [template("local/watched", text, changeMode="script", changeScript=script), template("secrets/two", "-", changeMode="noop")]
        still = f"({where}) >$NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.here; {STILL}"
        return [shell(way, still, templates=named, **WAYS[way]) for way in WAYS]

    deployed(machine, *tasks("one"))
    user = machine.sh("grep -o '^k8s4r-web-g-[^:]*' /etc/passwd").strip()
    before = {way: pid(machine, unit(machine, way)) for way in WAYS}
    machine.absent(f"ls {alloc(machine)} | grep told")
    prepared = machine.prepare(job(machine, "web", *tasks("two")))
    assert {(change["unit"], change["does"]) for change in prepared["summary"]} == {(f"r0 {way}", "script /bin/sh") for way in WAYS}
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    for way in WAYS:
        told = machine.sh(f"cat {alloc(machine)}/{way}.told").split()
        assert told[:2] == [user, "two-"], way
        assert told[2:] == machine.sh(f"cat {alloc(machine)}/{way}.here").split(), way
    prepared = machine.prepare(job(machine, "web", *tasks("two", "; true")))
    assert prepared["status"] == "recorded"
    assert {(each["unit"], each["does"], *each["why"]) for each in prepared["summary"]} == {
        (f"r0 {way}", "in place", "changeScript") for way in WAYS
    }
    failed = machine.deploy(job(machine, "web", *tasks("bad")))
    assert failed["status"] == "rolled-back"
    assert "r0 exec" in str(failed["errors"])
    assert "the script for local/watched: exit status 1" in str(failed["errors"])
    assert machine.sh(f"cat {directory(machine, 'exec')}/local/watched") == "two"
    assert {way: pid(machine, unit(machine, way)) for way in WAYS} == before


def test_a_task_with_little_memory_has_templates(machine):
    """What puts them in place counts as the task's: with 4Mi, it would be killed."""
    deployed(machine, shell("small", STILL, templates=[template("local/a", "a")], resources={"memory": "16Mi"}))
