# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks, on the oldest systemd and the newest: a deployment waits for them, and they go on without a controller."""

from __future__ import annotations

import re
import typing as t

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import plans, shell, without_groups
from tests.integration.engine.harness import Machine, pid

machine = each_of(ENDS)

PORT = 18080
# Answers with what is in a file, and until that is there with 503 for as many seconds as it is told.
SERVER = """
import http.server, os, pathlib, sys, time
code, up = pathlib.Path(os.environ["NOMAD_ALLOC_DIR"]) / "code", time.monotonic() + float(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(code.read_text()) if code.exists() else 200 if time.monotonic() > up else 503)
        self.end_headers()
        self.wfile.write(b"first line\\nI say " + self.headers["X-Word"].encode())
    def log_message(self, *_args):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def job(machine: Machine, delay: float = 0, update: t.Mapping[str, str] | None = None, **keys: t.Any) -> dict[str, t.Any]:
    """A job with a server that is well after so many seconds, and with one check of it."""
    check = {"name": "ready", "type": "http", "interval": "1s", "headers": {"X-Word": "${NOMAD_TASK_NAME}"}, **keys}
    program = {"command": "/usr/bin/python3", "args": ["-I", "-S", "-c", SERVER, str(PORT), str(delay)]}
    service = {"name": "web", "portLabel": str(PORT), "checks": [check]}
    task = {"name": "server", "config": {"execConfig": program}, "services": [service]}
    document = {"name": "checks", "taskGroups": [{"name": "g", "tasks": [task]}], **({"update": update} if update else {})}
    return plans(machine, document)[0]


def unit(plan: dict[str, t.Any]) -> str:
    return next(r["name"] for r in plan["groups"][0]["resources"] if r.get("checks"))


def check(machine: Machine, plan: dict[str, t.Any]) -> dict[str, t.Any]:
    """What `status` says of the check."""
    (found,) = machine.call(op="status")["jobs"]
    (group,) = found["groups"].values()
    (seen,) = group["units"][unit(plan)]["checks"]
    return {**seen, "well": group["units"][unit(plan)]["well"]}


def answer(machine: Machine, code: str) -> None:
    machine.sh(f"echo {code} >$(echo /var/lib/k8s4r/groups/checks-g-*/alloc)/code")


def becomes(machine: Machine, status: str) -> None:
    machine.until(f'grep -q \'"status":"{status}"\' /run/k8s4r/checks/*')


def test_a_deployment_waits_for_checks_which_go_on_by_themselves_and_restart_nothing_when_they_change(machine):
    plan = job(machine, delay=3, interval="300s")
    assert machine.deploy(plan)["status"] == "committed"
    lived = float(machine.sh(f"echo $(cut -d' ' -f1 /proc/uptime) $(systemctl show -p ActiveEnterTimestampMonotonic --value {unit(plan)}) |"
                             " awk '{print $1 - $2 / 1e6}'"))  # fmt: skip
    # It was not well for 3 s, and then had to be for 2; nobody waited until it was its time again.
    assert 5 <= lived < 150
    seen = check(machine, plan)
    assert (seen["name"], seen["status"], seen["said"], seen["well"]) == ("ready", "passing", "HTTP 200", True)
    main = pid(machine, unit(plan))
    plan = job(machine, delay=3)
    assert machine.deploy(plan)["status"] == "committed"
    assert pid(machine, unit(plan)) == main
    assert machine.ask(plan)["status"] == "unchanged"
    answer(machine, "500")
    becomes(machine, "critical")
    seen = check(machine, plan)
    assert (seen["said"], seen["well"]) == ("HTTP 500", False)
    machine.sh("grep -q 'I say server' /run/k8s4r/checks/*")
    answer(machine, "429")
    becomes(machine, "warning")
    answer(machine, "200")
    becomes(machine, "passing")
    # Whoever asks tasks has no privilege, and nothing stays.
    machine.until("systemctl is-active --quiet k8s4r-checks.timer")
    machine.until("! systemctl is-active --quiet k8s4r-checks.service")
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    machine.absent("find /etc/k8s4r /run/k8s4r /etc/systemd/system -name '*checks*' | grep .")
    assert machine.state("k8s4r-checks.timer") == "inactive"


def test_a_group_whose_checks_do_not_pass_goes_back(machine):
    first = job(machine)
    assert machine.deploy(first)["status"] == "committed"
    second = job(machine, delay=1000, update={"healthyDeadline": "8s"})
    result = machine.deploy(second)
    assert result["status"] == "rolled-back"
    assert "health check ready is critical: HTTP 503; its last answer: I say server" in result["errors"][0]
    becomes(machine, "passing")
    assert machine.ask(first)["status"] == "unchanged"
    # The first release of a group has nothing to go back to.
    assert machine.deploy(without_groups(first))["status"] == "committed"
    assert machine.deploy(second)["status"] == "rolled-back"
    machine.absent("ls /etc/systemd/system | grep -e checks -e k8s4r-task")


def test_failed_checks_restart_a_task_as_a_crash_does(machine):
    """Some tasks end when they are asked to, and one has to be killed. The restart policy gives all up."""
    policy = {"attempts": 1, "interval": "10m", "delay": "1s", "mode": "fail"}
    tasks = []
    asked = "trap 'touch $NOMAD_ALLOC_DIR/$NOMAD_TASK_NAME.asked; exit' TERM"
    for number, (driver, script, delay) in enumerate((("exec", asked, 0), ("raw_exec", "trap '' TERM", 0), ("raw_exec", asked, 1))):
        check = {"name": f"c{number}", "type": "script", "command": "/bin/sh", "args": ["-c", "! test -e $NOMAD_ALLOC_DIR/ill"],
                 "interval": "1s", "checkRestart": {"limit": 2, "grace": "2s"}}  # fmt: skip
        # The status of a command that does not hold is a warning.
        service = {"name": "s", "portLabel": "any", "checks": [check]}
        program = shell(f"t{number}", f"{script}; while :; do sleep 0.2; done", driver=driver, killTimeout="4s", services=[service],
                        shutdownDelay=f"{delay}s")  # fmt: skip
        tasks.append({**program, "restartPolicy": policy})
    (plan,) = plans(machine, {"name": "checks", "update": {"healthyDeadline": "200s"}, "taskGroups": [{"name": "g", "tasks": tasks}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    machine.sh("touch $(echo /var/lib/k8s4r/groups/checks-g-*/alloc)/ill")
    units = [r["name"] for r in plan["groups"][0]["resources"] if r.get("checks")]
    for name in units:
        machine.until(f'[ "$(systemctl show -p NRestarts --value {name})" = 1 ]')
    # A restart by somebody else would not be one of the policy's.
    # An older systemd calls a unit inactive for a moment that is about to start again.
    for name in units:
        machine.until(f"grep -q ' 2 over$' /run/k8s4r/restarts/{name}")
    machine.down(*units)
    (group,) = machine.call(op="status")["jobs"][0]["groups"].values()
    for name in units:
        how = group["units"][name]["how"]
        # A busy robot may not even come to the script's exit status in time.
        check = rf"because health check c{units.index(name)} had failed \d+ times in a row: [^;]+"
        assert re.search(rf"{check}; its restart policy has given up, after 1 restart$", how), how
    for name in ("t0", "t2"):
        machine.sh(f"test -e /var/lib/k8s4r/groups/checks-g-*/alloc/{name}.asked")
    machine.sh("journalctl --sync; journalctl -u k8s4r-checks.service | grep -q 'because health check c1 has failed 2 times in a row'")


# What a program sees of itself and around it. (systemd's own PATH has two names more where /bin is a link to one of the others.)
VIEW = (
    "{ id; pwd; for n in ipc uts mnt pid net user; do readlink /proc/self/ns/$n; done; cat /proc/self/[ug]id_map;"
    " cut -d: -f3 /proc/self/cgroup; ulimit -n; umask;"
    " env | grep -e ^NOMAD -e ^HOME -e ^LD_LIBRARY_PATH -e ^WORD | sort; grep -e ^Cap -e ^NoNew -e ^Seccomp: -e ^SigIgn /proc/self/status;"
    " f=$(mktemp -p $NOMAD_ALLOC_DIR); chmod 4711 $f 2>/dev/null; stat -c %a $f; rm $f; setarch -R true 2>/dev/null; echo $?; }"
)


def scripted(name: str, driver: str, **keys: t.Any) -> dict[str, t.Any]:
    mine = f"$NOMAD_ALLOC_DIR/{name}"
    # It leaves a process behind, and does not end where it shall not. (Whoever reads what it saw may come while it runs again.)
    script = (
        f"{VIEW} >{mine}.new; mv {mine}.new {mine}.script; sleep 1001 >/dev/null 2>&1 &"
        f" if test -e {mine}.hang; then touch {mine}.hangs; sleep 1002 &"
        f" setsid sleep 1002 & (setsid sh -c 'sleep 1002 & exec sleep 1002' &) ; wait; fi; echo well; exit $(cat {mine}.code)"
    )
    check = {"name": name, "type": "script", "command": "sh", "args": ["-c", script], "interval": "1s", "timeout": "10s"}
    task = shell(name, f"echo 0 >{mine}.code; {VIEW} >{mine}.part; mv {mine}.part {mine}.task; exec sleep 1003", driver=driver)
    return {**task, "services": [{"name": "s", "portLabel": "any", "checks": [check]}], **keys}


def test_a_script_is_as_one_that_its_task_has_started_and_leaves_nothing(machine):
    more = {"env": {"WORD": "a\nb $x \"'\\`", "LD_LIBRARY_PATH": "/nowhere"}, "groups": ["dialout"], "resources": {"openFiles": 99}}
    shared = scripted("shared", "exec", isolation={"pid": "group"}, **more)
    alone = scripted("alone", "exec", isolation={"users": "own"}, **more)
    root = scripted("root", "exec", user="root", isolation={"users": "own", "pid": "host"}, **more)
    tasks = [scripted("exec", "exec", **more), scripted("rawexec", "raw_exec", **more), shared, alone, root]
    (plan,) = plans(machine, {"name": "checks", "update": {"healthyDeadline": "200s"}, "taskGroups": [{"name": "g", "tasks": tasks}]})
    result = machine.deploy(plan)
    assert result["status"] == "committed", result
    alloc = machine.sh("echo /var/lib/k8s4r/groups/checks-g-*/alloc").strip()
    names = ("exec", "rawexec", "shared", "alone", "root")
    states = [f"/run/k8s4r/checks/checks-g-r0-{name}-*" for name in names]
    for name in names:
        machine.until(f"[ -e {alloc}/{name}.task ]")
        assert machine.sh(f"cat {alloc}/{name}.script") == machine.sh(f"cat {alloc}/{name}.task")
    for code, status in ((1, "warning"), (2, "critical"), (0, "passing")):
        machine.sh(f"for name in {' '.join(names)}; do echo {code} >{alloc}/$name.code; done")
        for state in states:
            # One that has taken too long is critical, too.
            machine.until(f'grep \'"status":"{status}"\' {state} | grep -q \'"output":"well"\'')
    machine.sh(f"for name in {' '.join(names)}; do touch {alloc}/$name.hang; done")
    for state in states:
        machine.until(f"grep -q 'no result within 10 s' {state}")
    machine.sh(f"rm {alloc}/*.hang")
    for state in states:
        machine.until(f'grep -q \'"status":"passing"\' {state}')
    machine.sh("systemctl stop k8s4r-checks.timer")
    # As long as it runs, systemd calls it activating.
    machine.until("[ $(systemctl show -p ActiveState --value k8s4r-checks.service) != activating ]")
    machine.gone("sleep 100[12]")
    machine.processes(5, "sleep 1003")
    # A main process whose number somebody else has by now.
    unit = next(r["name"] for r in plan["groups"][0]["resources"] if r.get("called") == "r0 exec")
    for number, said in ((pid(machine, unit), ""), ("1", "its task has just ended")):
        outcome = machine.script(f"from k8s4r_engine.checks import script\nprint(script.within({unit!r}, {number}).lines('comm'))")
        assert said in outcome.stderr
        assert (outcome.stdout.strip() == "['sh']") is not bool(said), outcome
    # Removed in the middle of its work, the service leaves nothing that looks like a failure.
    machine.sh(f"touch {alloc}/exec.hang; systemctl --no-block start k8s4r-checks.service")
    machine.until("[ $(systemctl show -p ActiveState --value k8s4r-checks.service) = activating ]")
    assert machine.deploy(without_groups(plan))["status"] == "committed"
    assert machine.sh("systemctl list-units --all --plain --no-legend 'k8s4r-checks*'") == ""


def test_root_runs_no_script_among_files_that_a_task_has_put_there(machine):
    """In a user namespace of its own, a task of nobody's rights mounts what it likes; the robot's setuid programs would obey that."""
    forged = "mount --bind $NOMAD_TASK_DIR /etc; touch $NOMAD_ALLOC_DIR/mounted; exec sleep 1000"
    check = {"name": "c", "type": "script", "command": "touch", "args": ["../../ran"], "interval": "1s", "timeout": "20s"}
    task = shell(
        "escapes",
        f"exec unshare --user --map-root-user --mount sh -c '{forged}'",
        driver="raw_exec",
        services=[{"name": "s", "portLabel": "22", "checks": [check]}],
    )
    document = {"name": "escape", "taskGroups": [{"name": "g", "tasks": [task]}], "update": {"healthyDeadline": "10s"}}
    (plan,) = plans(machine, document)
    result = machine.deploy(plan)
    assert result["status"] == "rolled-back", result
    assert "its program has made a user namespace, and root enters none of those" in " ".join(result["errors"])


def test_what_serves_all_groups_is_told_of_where_it_is_down_and_started_by_the_next_run(machine):
    check = {"name": "port", "type": "tcp", "interval": "60s", "timeout": "1s"}
    task = shell("app", "exec sleep 1000", services=[{"name": "app", "portLabel": "22", "checks": [check]}])
    servers = ("k8s4r-checks.timer", "k8s4r-logs.service")
    (plan,) = plans(machine, {"name": "served", "taskGroups": [{"name": "g", "tasks": [task]}]})
    assert machine.deploy(plan)["status"] == "committed"
    assert machine.call(op="status")["idle"] == []
    assert machine.ask(plan)["status"] == "unchanged"
    for server in servers:
        machine.sh(f"systemctl stop {server}")
        (told,) = machine.call(op="status")["idle"]
        assert told.startswith(f"{server} (down since 20")
        assert told.endswith(": it was stopped)")
        assert machine.ask(plan)["status"] == "plan-needed"
        planned = machine.prepare(plan, check=True)
        assert [change["does"] for change in planned["summary"]] == planned["steps"] == [f"start {told}"]
        assert machine.state(server) == "inactive", "a check started it"
        assert machine.deploy(plan)["changes"] == [f"start {told}"]
        machine.until(f"systemctl is-active --quiet {server}")
        assert machine.ask(plan)["status"] == "unchanged"
    machine.sh("systemctl stop k8s4r-logs.service; rm /etc/systemd/system/k8s4r-logs.service; systemctl daemon-reload")
    (told,) = machine.call(op="status")["idle"]
    assert told.startswith("k8s4r-logs.service (down")
    assert told.endswith(": its file is not there)")
    assert machine.deploy(plan)["status"] == "committed"
    assert machine.ask(plan)["status"] == "unchanged"
    # What the timer starts fails.
    override = "/run/systemd/system/k8s4r-checks.service.d"
    machine.sh(
        f"mkdir {override}; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >{override}/fails.conf; systemctl daemon-reload"
    )
    machine.until("systemctl start k8s4r-checks.service; systemctl is-failed --quiet k8s4r-checks.service")
    (told,) = machine.call(op="status")["idle"]
    assert told.startswith("k8s4r-checks.service (its last run failed at 20")
    assert told.endswith("exit status 1); see journalctl -u k8s4r-checks.service")
    machine.sh(f"rm -r {override}; systemctl daemon-reload; systemctl start k8s4r-checks.service")
    assert machine.call(op="status")["idle"] == []
    # Whoever goes needs neither.
    machine.sh(f"systemctl stop {servers[0]}")
    assert [change for change in machine.prepare(without_groups(plan), check=True)["steps"] if change.startswith("start")] == []
