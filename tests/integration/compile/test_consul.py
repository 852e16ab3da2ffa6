# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Consul, Debian 11's: who asks it finds those that are well, and nobody who is about to stop; and templates and upstreams follow
what is in it, with a real consul-template.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.k8s4r.robot.plugins.plugin_utils.run.templating.renderer import Renderer
from tests.integration.compile.conftest import each_of
from tests.integration.compile.jobs import plans, without_groups
from tests.integration.engine.harness import pid
from tests.robots.mirror import consul_template

pytestmark = pytest.mark.robots

machine = each_of(("bullseye",))

AGENT = {
    "server": True,
    "bootstrap_expect": 1,
    "data_dir": "/var/lib/consul",
    "bind_addr": "127.0.0.1",
    "performance": {"raft_multiplier": 1},
}
INSTALL = "(apt-get update && apt-get install -y --no-install-recommends consul) >/run/apt 2>&1 || (cat /run/apt; exit 1)"
PASSING = "http://127.0.0.1:8500/v1/health/service/web?passing"
PORTS = f"print(*(each['Service']['Port'] for each in json.load(urllib.request.urlopen('{PASSING}'))))"
FOUND = f'python3 -c "import json, urllib.request; {PORTS}"'
# Takes itself out of Consul's answers before it ends: it writes down what these are when it is asked to.
SERVES = f"""
import http.server, os, signal, sys, urllib.request
def leave(*_):
    open(os.environ["NOMAD_ALLOC_DIR"] + "/left", "w").write(urllib.request.urlopen({PASSING!r}).read().decode())
    sys.exit()
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (sys.argv[1] + "\\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, leave)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Answer).serve_forever()
"""
# Asks without end, and counts what is not well: a signal has it written down.
ASKS = """
import collections, os, time, urllib.request
answers = collections.Counter()
while True:
    try:
        answers[urllib.request.urlopen("http://127.0.0.1:7100/", timeout=15).read().decode().strip()] += 1
    except OSError as error:
        answers[f"failed: {error}"] += 1
    with open(os.environ["NOMAD_TASK_DIR"] + "/new", "w") as stream:
        print(*(f"{number} {what}" for what, number in sorted(answers.items())), sep="\\n", file=stream)
    os.rename(os.environ["NOMAD_TASK_DIR"] + "/new", os.environ["NOMAD_TASK_DIR"] + "/answers")
    time.sleep(0.005)
"""
# A start that takes until there is a file.
STARTS = "/run/systemd/system/k8s4r-task-.service.d"
WAITS = "[Service]\nExecStartPre=+/bin/sh -c 'until [ -e /run/goes-on ]; do sleep 0.1; done'\n"
NOTES = "trap 'echo told >> told' HUP; while :; do sleep 0.1; done"
TEMPLATE = """\
greeting={{ key "greeting" }} {{ env "TONE" }}
{{ range service "web" }}{{ .Port }}
{{ end }}"""


VARIABLES = """\
# of the service
{{ with service "web" }}{{ with index . 0 }}export WEB="{{ .Address }}:{{ .Port }}" # the first{{ end }}{{ end }}
{{ with keyOrDefault "loader" "" }}{{ . }}{{ end }}
"""


def web(count: int) -> dict[str, t.Any]:
    checks = [{"name": "up", "type": "http", "interval": "1s", "timeout": "20s"}]
    task = {
        "name": "app",
        "config": {"execConfig": {"command": "/usr/bin/python3", "args": ["-c", SERVES, "${NOMAD_PORT_http}"]}},
        "services": [{"name": "web", "portLabel": "http", "provider": "consul", "tags": ["blue"], "checks": checks}],
        # Whoever has asked Consul before may call it until he hears.
        "shutdownDelay": "20s",
    }
    network = {"type": "none", "ports": [{"label": "http"}]}
    return {"name": "shop", "taskGroups": [{"name": "api", "count": count, "network": network, "tasks": [task]}]}


def caller(tone: str = "loud", *more: dict[str, t.Any]) -> dict[str, t.Any]:
    tasks: list[dict[str, t.Any]] = [
        {
            "name": "follows",
            "env": {"TONE": tone, "TZDIR": "/nowhere"},
            "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", NOTES]}},
            "templates": [
                *more,
                {"destPath": "local/all.conf", "embeddedTmpl": TEMPLATE, "changeMode": "signal", "changeSignal": "SIGHUP"},
                {"destPath": "local/start.conf", "embeddedTmpl": '{{ keyOrDefault "start" "none" }}\n'},
            ],
        },
        {
            "name": "reads",
            "config": {"execConfig": {"command": "/bin/sh", "args": ["-c", 'echo "$WEB" >web; exec sleep infinity']}},
            "templates": [{"destPath": "local/web.env", "env": True, "embeddedTmpl": VARIABLES}],
        },
        {"name": "asks", "config": {"execConfig": {"command": "/usr/bin/python3", "args": ["-c", ASKS]}}},
    ]
    network = {"upstreams": [{"name": "web", "localPort": 7100, "protocol": "http", "consul": "web", "tls": False}]}
    return {"name": "calls", "taskGroups": [{"name": "g", "network": network, "tasks": tasks}]}


class _Nobody:
    """The variables of a robot that has none."""

    def has(self, _name: str) -> bool:
        return False

    def value(self, _name: str) -> t.Any:
        raise KeyError


def rendered(machine, document):
    """The job plan, with its templates read as a run reads them."""
    return plans(machine, document, render=Renderer(pathlib.Path("/"), str, lambda _name: _Nobody()))[0]


@pytest.fixture
def agent(machine):
    """A Consul of one server; gone from the robot at the end, as far as others can see it."""
    machine.sh(f"which consul >/dev/null || {INSTALL}")
    machine.execute("cat > /etc/consul.d/server.json", json.dumps(AGENT).encode())
    machine.sh("systemctl restart consul")
    machine.until(f"{FOUND} >/dev/null 2>&1")
    yield machine
    machine.clean(engine=True)
    machine.sh("rm -f /etc/consul.d/k8s4r-*; systemctl disable --now consul 2>&1; rm -rf /var/lib/consul/*")


@pytest.mark.usefixtures("envoy")
def test_who_has_no_agent_is_told(machine):
    """Services, templates and upstreams, each with its own way out."""
    machine.sh("! systemctl --quiet is-active consul || systemctl stop consul")
    refused = machine.deploy(rendered(machine, web(1)), rendered(machine, caller()))
    assert refused["status"] == "refused", refused
    for where, what in (
        ("taskGroups[0].tasks[0].services[0].provider", "or write `provider: native`"),
        ("taskGroups[0].tasks[0].templates[0]", "or give the task what it asks for in env, or as an Ansible variable in Jinja"),
        ("taskGroups[0].network.upstreams[0].consul", "or write `upstream: host:port`"),
    ):
        said = f"{where}: no Consul agent runs on this robot (consul.service); install one and start it, {what}"
        assert any(said in error for error in refused["errors"]), (said, refused["errors"])
    assert any("consul-template" in error for error in refused["errors"]), refused["errors"]


def test_who_asks_consul_finds_what_is_well_and_nobody_who_is_about_to_stop(agent):
    """In turn: two instances, one, none."""
    result = agent.deploy(rendered(agent, web(2)))
    assert result["status"] == "committed", result
    agent.until(f"test $({FOUND} | wc -w) = 2")
    before = agent.sh(FOUND).split()

    result = agent.deploy(rendered(agent, web(1)))
    assert result["status"] == "committed", result
    left = json.loads(agent.sh("cat $(find /var/lib/k8s4r/groups -name left)"))
    (stays,) = agent.sh(FOUND).split()
    assert stays in before
    assert [str(each["Service"]["Port"]) for each in left] == [stays]
    assert agent.ask(rendered(agent, web(1))) == {"status": "unchanged"}

    result = agent.deploy(without_groups(rendered(agent, web(1))))
    assert result["status"] == "committed", result
    assert agent.sh(FOUND).split() == []
    agent.absent("ls -a /etc/consul.d /etc/k8s4r | grep k8s4r-")


@pytest.mark.usefixtures("envoy")
def test_templates_and_upstreams_follow_what_is_in_consul(agent):
    """A service grows and moves under load, a key changes; without Consul, what was known last is there, also after a boot."""
    agent.execute("cat > /usr/local/bin/consul-template.new", consul_template.program().read_bytes())
    agent.sh("cd /usr/local/bin && chmod 755 consul-template.new && mv consul-template.new consul-template")
    agent.sh("consul kv put greeting hello")
    result = agent.deploy(rendered(agent, web(1)))
    assert result["status"] == "committed", result
    agent.until(f"test $({FOUND} | wc -w) = 1")
    result = agent.deploy(rendered(agent, caller()))
    assert result["status"] == "committed", result
    (task,) = agent.sh("ls -d /var/lib/k8s4r/tasks/*follows*").split()
    (asks,) = agent.sh("ls -d /var/lib/k8s4r/tasks/*asks*").split()
    unit = f"k8s4r-task-{task.rpartition('/')[2]}.service"
    started, first = pid(agent, unit), agent.sh(FOUND).strip()
    assert agent.sh(f"cat {task}/local/all.conf") == f"greeting=hello loud\n{first}\n"
    assert agent.sh(f"cat {task}/local/start.conf") == "none\n"
    agent.until(f"grep -q ' {first}$' {asks}/local/answers")
    reads = agent.sh("ls -d /var/lib/k8s4r/tasks/*reads*").strip()
    agent.until(f"grep -qx 127.0.0.1:{first} {reads}/local/web")
    # Root's program has what the texts may ask for, and nothing that the loader obeys.
    root = pid(agent, unit.replace("task", "watch"))
    assert agent.sh(f"tr '\\0' '\\n' < /proc/{root}/environ | grep -e TONE -e TZDIR") == "TONE=loud\n"

    # What changes reaches the file, and the program is told. Nothing starts again.
    agent.sh("consul kv put greeting good-day")
    agent.until(f"grep -q good-day {task}/local/all.conf && grep -q told {task}/local/told")
    # One more instance, and then the other one alone.
    result = agent.deploy(rendered(agent, web(2)))
    assert result["status"] == "committed", result
    agent.until(f"test $({FOUND} | wc -w) = 2")
    (second,) = {*agent.sh(FOUND).split()} - {first}
    agent.until(f"grep -q ' {second}$' {asks}/local/answers && grep -qx {second} {task}/local/all.conf")
    gone = agent.sh(f"cp -r {asks}/local/answers /run/; cat /run/answers")
    result = agent.deploy(rendered(agent, web(1)))
    assert result["status"] == "committed", result
    agent.until(f"test $(wc -l < {task}/local/all.conf) = 2")
    assert "failed" not in agent.sh(f"cat {asks}/local/answers"), gone
    assert pid(agent, unit) == started
    assert agent.ask(rendered(agent, caller())) == {"status": "unchanged"}

    # A template with `changeMode: restart`.
    agent.sh("consul kv put start now")
    agent.until(f"grep -qx now {task}/local/start.conf && test $(systemctl show -p MainPID --value {unit}) != {started}")

    # What changes while the task starts again, when it has copied its files already.
    agent.execute(f"mkdir -p {STARTS} && cat > {STARTS}/waits.conf", WAITS.encode())
    agent.sh("systemctl daemon-reload; consul kv put start then")
    agent.until(f"systemctl is-active {unit} | grep -qx activating && grep -qx then {task}/local/start.conf")
    agent.sh("consul kv put greeting meanwhile")
    agent.until(f"grep -rq meanwhile {task}/consul")
    agent.sh(f"touch /run/goes-on; rm -r {STARTS}; systemctl daemon-reload")
    agent.until(f"systemctl --quiet is-active {unit} && grep -q meanwhile {task}/local/all.conf")
    agent.sh("rm /run/goes-on; consul kv put greeting good-day")
    agent.until(f"grep -q good-day {task}/local/all.conf")

    # A variable that root's own programs would obey: the task does not start with it.
    agent.sh("consul kv put loader LD_PRELOAD=/tmp/mine.so")
    agent.until(f"grep -qr 'template local/web.env: LD_PRELOAD cannot be set from Consul' {reads}/logs")
    agent.sh("consul kv delete loader")
    agent.until("systemctl --quiet is-active 'k8s4r-task-*reads*'")

    # Not all of it can be rendered: what was there before is there again.
    nowhere = {"destPath": "local/more.conf", "embeddedTmpl": '{{ key "nowhere" }}'}
    result = agent.deploy(rendered(agent, caller("soft", nowhere)))
    assert result["status"] == "rolled-back", result
    assert any("does every key exist?" in error for error in result["errors"]), result
    assert agent.sh(f"head -1 {task}/local/all.conf") == "greeting=good-day loud\n"

    # What the task has in its environment is rendered anew.
    result = agent.deploy(rendered(agent, caller("soft")))
    assert result["status"] == "committed", result
    assert agent.sh(f"head -1 {task}/local/all.conf") == "greeting=good-day soft\n"

    # A boot without Consul.
    target = agent.sh("cd /etc/systemd/system/multi-user.target.wants; ls | grep calls").strip()
    agent.sh(f"systemctl stop consul {target}")
    agent.down(unit)
    agent.sh(f"rm {task}/local/*; systemctl start {target}")
    agent.until(f"systemctl --quiet is-active {unit} && grep -q soft {task}/local/all.conf")
    agent.sh("systemctl start consul")
    agent.until("consul kv put greeting again >/dev/null 2>&1")
    agent.until(f"grep -q again {task}/local/all.conf")

    result = agent.deploy(without_groups(rendered(agent, caller())), without_groups(rendered(agent, web(1))))
    assert result["status"] == "committed", result
    agent.absent("ls -a /etc/systemd/system /var/lib/k8s4r/groups /var/lib/k8s4r/tasks /etc/k8s4r | grep -e watch -e calls -e shop")
