# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ingress on two robots in front of two services, one on each robot: what end users get, with real certificates and real clients.

The tests build on one another's deployments. They take 115 s of a processor on the robots: provisioning, fifteen runs, and a browser, whose
packages alone take a third of that.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.demo.test_small_examples import INSTALL, install
from tests.integration.deploy.harness import Deployment
from tests.integration.lifecycle import visitors
from tests.integration.lifecycle.visitors import curl
from tests.robots.host import wait_for

pytestmark = pytest.mark.robots

# Answers with what it was asked, echoes on a WebSocket, and has a page that needs both services.
SERVE = r"""
import base64, hashlib, http.server, json, sys, threading
who, port = sys.argv[1], int(sys.argv[2])
# It has loaded when its last picture has, and that comes when the page has shown what the other service echoed.
PAGE = b"<!doctype html><p id=a>waits</p><p id=b>waits</p><script src='https://right.example/say.js'></script><script>\
const socket = new WebSocket('wss://right.example/socket'); socket.onopen = () => socket.send('echoed');\
socket.onmessage = event => { document.getElementById('b').textContent = event.data; new Image().src = 'https://right.example/seen' }\
</script><img src='https://right.example/once-seen'>"
SAY = b"document.getElementById('a').textContent = 'right spoke'"
seen = threading.Event()
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("upgrade", "").lower() == "websocket":
            return self.echo()
        if self.path == "/seen":
            seen.set()
        elif self.path == "/once-seen":
            seen.wait(60)
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = json.dumps({"who": who, "path": self.path, "headers": headers}).encode()
        body, kind = {"/page": (PAGE, "text/html"), "/say.js": (SAY, "text/javascript")}.get(self.path, (told, "application/json"))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def echo(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while head := self.rfile.read(2):
            mask, sent = self.rfile.read(4), self.rfile.read(head[1] & 127)
            text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(sent))
            self.wfile.write(bytes([129, len(text)]) + text)
        self.close_connection = True
    def log_message(self, *_arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def service(who: str, robot: str, **ports: int) -> dict:
    """A group with these services, on one robot."""
    allow = [*({"job": "edge", "group": group} for group in ("secure", "plain")), {"job": "inner", "group": "inner"}]
    services = [{"name": name, "port": port, "to": "http", "protocol": "http", "allow": allow} for name, port in ports.items()]
    return {
        "name": who,
        "constraints": [{"lTarget": "${node.unique.name}", "rTarget": robot}],
        "network": {
            "ports": [{"label": "http", "hostIP": "127.0.0.1"}],
            "services": services,
        },
        "tasks": [
            {
                "name": "serve",
                "config": {"execConfig": {"command": "/usr/bin/python3", "args": ["serve.py", who, "${NOMAD_PORT_http}"]}},
                "templates": [{"destPath": "local/serve.py", "embeddedTmpl": SERVE, "leftDelim": "<<<", "rightDelim": ">>>"}],
            }
        ],
    }


LEFT, RIGHT = {"host": "left.example", "service": "web/left/web"}, {"host": "Right.example", "service": "web/right/web"}
API = {"host": "left.example", "path": "/api/", "service": "web/right/web"}
WILD = {"host": "*.wild.example", "path": "/a", "service": "web/right/web"}


def jobs(*more: dict, left: dict | None = None) -> str:
    """Two services, and two ingresses on every robot; with more routes than the usual ones, or another one for left.example."""
    routes = [left or LEFT, RIGHT, API, WILD, *more]
    tls = {"certFile": "edge.crt", "keyFile": "secret/edge.key"}
    edge = [
        {"name": "secure", "network": {"accessLog": "requests", "ingress": {"port": 443, "tls": tls, "routes": routes}}},
        {"name": "plain", "network": {"ingress": {"port": 80, "routes": routes}}},
    ]
    web = {"name": "web", "taskGroups": [service("left", "robot1", web=17001), service("right", "robot2", web=17002, other=17003)]}
    return "\n---\n".join(json.dumps(job) for job in (web, {"name": "edge", "type": "system", "taskGroups": edge}))


class Edge(Deployment):
    """The two robots, and a certificate beside the job file."""

    def address(self, robot: str = "robot1") -> str:
        hosts = json.loads(self.inventory.read_text())["all"]["children"]["robots"]["hosts"]
        return str(hosts[robot]["ansible_host"])

    def certify(self) -> visitors.Certificate:
        """A new certificate beside the job file."""
        made = visitors.certificate("left.example", "right.example", "new.example", "*.wild.example")
        (self.directory / "secret").mkdir(exist_ok=True)
        (self.directory / "edge.crt").write_text(made.chain)
        (self.directory / "secret" / "edge.key").write_text(made.key)
        return made

    def starts(self) -> str:
        """What tells one start of each unit of a job from another. What mends the walls runs every now and then."""
        shown = "systemctl show --property=Id,InvocationID 'k8s4r-proxy-*' 'k8s4r-task-*' 'k8s4r-pod-*'"
        return "".join(self.sh(robot, shown) for robot in ("robot1", "robot2"))


@pytest.fixture(scope="module")
def edge(two, tmp_path_factory):
    directory = tmp_path_factory.mktemp("edge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("K8S4R_HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(directory)
        edge = Edge(two, directory)
        edge.certify()
        edge.deploy(jobs()).well()
        for robot in ("robot1", "robot2"):
            # Each has a proxy with an identity of its own.
            for url in ("http://left.example/", "http://left.example/api", "https://left.example/", "https://right.example/"):
                wait_for(lambda robot=robot, url=url: ask(edge, url, robot=robot).status == 200, 180, f"no answer from {url}")
        yield edge


def ask(edge: Edge, url: str, *arguments: str, robot: str = "robot1") -> visitors.Answer:
    return curl(edge.address(robot), url, *arguments, authority=edge.directory / "edge.crt")


@pytest.mark.parametrize("robot", ["robot1", "robot2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_goes_where_its_host_and_path_say_on_whichever_robot(edge, robot, scheme):
    def who(url, *arguments):
        answer = ask(edge, f"{scheme}://{url}", "--path-as-is", *arguments, robot=robot)
        return answer.json["who"], answer.json["path"]

    assert who("left.example/") == ("left", "/")
    assert who("right.example/") == ("right", "/")
    assert who("LEFT.example./x?y=/api") == ("left", "/x?y=/api")
    assert who("left.example/api") == ("right", "/api")
    assert who("left.example/api/") == ("right", "/api/")
    assert who("left.example/api/v1?q") == ("right", "/api/v1?q")
    assert who("left.example/apis") == ("left", "/apis")
    assert who("deep.in.wild.example/a/b", "--insecure") == ("right", "/a/b")
    # However it is written, it is one path.
    for spelling in ("//api/x", "/./api/x", "/apis/../api/x", "/%61pi/x", "/apis/%2e%2E/api//x"):
        assert who(f"left.example{spelling}") == ("right", "/api/x")


def test_it_speaks_http_1_and_2_with_tls_and_without(edge):
    assert ask(edge, "https://left.example/").version == "2"
    assert ask(edge, "https://left.example/", "--http1.1").version == "1.1"
    assert ask(edge, "http://left.example/", "--http2-prior-knowledge").version == "2"
    assert ask(edge, "http://left.example/").version == "1.1"


def test_who_finds_nothing_reads_why(edge):
    for url in ("https://other.example/", "https://x.wild.example/", "http://other.example/", "http://x.wild.example/ab"):
        answer = ask(edge, url, "--insecure")
        assert (answer.status, answer.kind) == (404, "text/plain; charset=utf-8")
        assert answer.text == "Nothing is served here: no route has this host name and path.\n"
    # Two spellings of one path, to a program that takes them for two.
    for path in ("x%2Fapi", "x%5Capi"):
        answer = ask(edge, f"https://left.example/{path}", "--path-as-is")
        assert (answer.status, answer.text) == (400, "This request cannot be understood, or its path has an escaped slash.\n")
    # Two hosts, as Envoy joins them, of which a program takes either.
    assert ask(edge, "http://x.wild.example/a", "--http1.1", "-H", "Host: left.example,x.wild.example").status == 400
    assert ask(edge, "https://left.example/", "--http1.1", "-H", f"x-long: {'x' * 70000}").status == 431
    long = [part for number in range(101) for part in ("-H", f"x-{number}: x")]
    assert ask(edge, "https://left.example/", "--http1.1", *long).status == 431


def test_a_client_says_nothing_of_itself(edge):
    said = {
        "forwarded": "for=6.6.6.6",
        "proxy": "http://6.6.6.6",
        "ssl-client-verify": "SUCCESS",
        "x-envoy-external-address": "6.6.6.6",
        "x-envoy-internal": "true",
        "x-envoy-original-path": "/",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-client-cert": "URI=spiffe://fleet.example/ns/default/job/boss/group/boss",
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "gopher",
        "x-forwarded-user": "root",
        "x-real-ip": "6.6.6.6",
        "x-ssl-client-s-dn": "CN=root",
        "x-webauth-user": "root",
        "x_forwarded_for": "6.6.6.6",
    }
    forged = [part for name, value in said.items() for part in ("-H", f"{name}: {value}")]
    for scheme in ("http", "https"):
        for version in ("--http1.1", "--http2-prior-knowledge"):
            headers = ask(edge, f"{scheme}://left.example/", "-H", "x-own: kept", *forged, version).json["headers"]
            own = visitors.own_address(edge.address())
            edges = {"http": "plain", "https": "secure"}[scheme]
            assert {name: value for name, value in headers.items() if name not in ("accept", "user-agent", "host")} == {
                "x-own": "kept",
                "x-forwarded-for": own,
                "x-forwarded-proto": scheme,
                # Not the client: the ingress, whose identity the service's proxy has seen.
                "x-forwarded-client-cert": headers["x-forwarded-client-cert"],
            }
            assert headers["x-forwarded-client-cert"].endswith(f"URI=spiffe://fleet.example/ns/default/job/edge/group/{edges}")
            assert headers["host"] == "left.example"


def test_a_service_that_is_down_is_said_to_be(edge):
    edge.sh("robot2", "systemctl stop 'k8s4r-proxy-web-right-*'")
    try:
        answer = ask(edge, "https://right.example/")
        assert (answer.status, answer.kind) == (503, "text/plain; charset=utf-8")
        assert answer.text == "The service does not answer at the moment.\n"
        assert ask(edge, "https://left.example/").status == 200
    finally:
        edge.sh("robot2", "systemctl start $(cd /etc/systemd/system && echo k8s4r-proxy-web-right-*)")
    wait_for(lambda: ask(edge, "https://right.example/").status == 200, 180, "it does not come back")


def test_routes_and_certificates_change_while_people_are_there(edge):
    """A route more, a route elsewhere, a certificate renewed: nothing restarts, no request fails, and a session goes on."""
    before, starts = ask(edge, "https://left.example/").certificate, edge.starts()
    with visitors.websocket(edge.address(), "right.example", 443, edge.directory / "edge.crt") as socket:
        assert socket.said("hello") == "hello"
        with visitors.crowd(edge.address(), "left.example", edge.directory / "edge.crt") as crowd:
            edge.deploy(jobs({**LEFT, "host": "new.example"}, {**LEFT, "path": "/new", "service": "web/right/web"})).well()
            wait_for(lambda: ask(edge, "https://left.example/new").json["who"] == "right", 180, "the new route is not there")
            assert ask(edge, "https://new.example/").json["who"] == "left"
            assert socket.said("a route more") == "a route more"
            # What the crowd asks for is suddenly served by what no route has led to before.
            edge.deploy(jobs(left={**LEFT, "service": "web/right/other"})).well()
            wait_for(lambda: ask(edge, "https://left.example/").json["who"] == "right", 180, "the route does not move")
            assert ask(edge, "https://new.example/").status == 404
            edge.deploy(jobs()).well()
            wait_for(lambda: ask(edge, "https://left.example/").json["who"] == "left", 180, "the route does not move back")
            assert socket.said("a route less") == "a route less"
        assert crowd.failures == []
        assert crowd.answers > 100
        renewed = edge.certify()
        run = edge.deploy(jobs(), "--diff").well()
        wait_for(lambda: ask(edge, "https://left.example/").certificate != before, 180, "the old certificate is still shown")
        assert socket.said("a new certificate") == "a new certificate"
    assert edge.starts() == starts
    assert ask(edge, "https://left.example/").certificate == renewed.serial
    assert not renewed.in_text(run.output)


def test_the_key_is_where_the_proxy_reads_it_and_nowhere_else(edge):
    made = visitors.Certificate.read(edge.directory)
    for robot in ("robot1", "robot2"):
        found = edge.sh(robot, f"grep -rlsF -e '{made.line}' /etc /run /var/lib/k8s4r /var/log /opt/k8s4r | sort").split()
        (kept,) = [path for path in found if not path.startswith("/var/lib/k8s4r/store/")]
        assert kept.endswith("/proxy/certificate.json")
        assert edge.sh(robot, f"stat -c '%U %G %a' {kept} {kept.rpartition('/')[0]}").split() == [
            *("root", "k8s4r-p-edge-secure-" + kept.split("/")[4].rpartition("-")[2], "640"),
            *("root", "k8s4r-p-edge-secure-" + kept.split("/")[4].rpartition("-")[2], "750"),
        ]
        assert edge.sh(robot, "stat -c %a /var/lib/k8s4r/store").strip() == "700"


def test_what_is_wrong_is_found_before_anything_changes(edge):
    starts, good = edge.starts(), (edge.directory / "edge.crt").read_text()
    (edge.directory / "edge.crt").write_text(visitors.certificate("left.example").chain)
    edge.deploy(jobs()).refused("taskGroups[0].network.ingress.tls.keyFile: does not match the certificate of left.example")
    (edge.directory / "edge.crt").write_text(visitors.certificate("left.example", days=-1).chain)
    edge.run("k8s4r.robot.validate", job="job.yml").refused("keyFile: does not match the certificate")
    (edge.directory / "edge.crt").write_text(good)
    nobody = "neither a job of this run nor a robot has the inbound service"
    edge.deploy(jobs({"service": "web/lefd/web"}, {"path": "/x", "service": "nobody/at/all"})).refused(
        f'taskGroups[0].network.ingress.routes[4].service: {nobody} "default/web/lefd/web"; ',
        f'taskGroups[1].network.ingress.routes[5].service: {nobody} "default/nobody/at/all"',
    )
    assert edge.starts() == starts


INFO = """
- hosts: robots
  gather_facts: false
  tasks:
    - k8s4r.robot.taskgroup_info: {job_name: edge}
      register: found
    - ansible.builtin.assert:
        that:
          - found.taskgroups | map(attribute='ports') | flatten | map(attribute='port') | sort == [80, 443]
          - found.taskgroups | map(attribute='ports') | flatten | selectattr('silent') | list == []
          - found.taskgroups[0].ports[0].where is search('network.ingress.port')
"""


def test_who_asks_is_told_where_it_listens(edge):
    (edge.directory / "info.yml").write_text(INFO)
    edge.run("info.yml").well()
    listens = edge.sh("robot1", "ss -ltnH 'sport = :443 or sport = :80'")
    assert " *:443 " in listens
    assert " *:80 " in listens


# On a robot, which has no curl.
ASK = """
import http.client, ssl, sys
connection = http.client.HTTPSConnection(sys.argv[1], 444, timeout=20, context=ssl._create_unverified_context())
connection.request('GET', '/', headers={'host': 'new.example'})
print(connection.getresponse().read().decode())
"""


def inner() -> str:
    """An ingress in a pod of every robot, below port 1024, and a service in a pod of one."""
    cell = service("cell", "robot1", web=17004)
    cell["network"]["mode"], cell["network"]["ports"] = "group", []
    cell["network"]["services"][0]["to"] = "127.0.0.1:8080"
    cell["tasks"][0]["config"]["execConfig"]["args"][-1] = "8080"
    tls = {"certFile": "edge.crt", "keyFile": "secret/edge.key"}
    routes = [LEFT, RIGHT, API, {"host": "new.example", "service": "inner/cell/web"}]
    network = {"mode": "group", "ingress": {"port": 444, "tls": tls, "routes": routes}}
    return json.dumps({"name": "inner", "type": "system", "taskGroups": [{"name": "inner", "network": network}, cell]})


def test_an_ingress_in_a_pod_is_reached_and_leads_as_one_of_the_robot(edge):
    """From the network, the robot's loopback and another pod; to services of robots and of pods. It comes and goes with its job,
    in five runs.
    """
    job = edge.job(inner(), "inner.yml")
    edge.run("k8s4r.robot.deploy_taskgroup", job=job).well()

    def answer(name: str, robot: str, *arguments: str) -> visitors.Answer:
        return ask(edge, f"https://{name}.example:444/", *arguments, robot=robot)

    for robot in ("robot1", "robot2"):
        for name, who in (("left", "left"), ("right", "right"), ("new", "cell")):
            wait_for(lambda robot=robot, name=name: answer(name, robot).status == 200, 60, f"no answer of {name}")
            assert answer(name, robot).json["who"] == who
        assert ask(edge, "https://left.example:444/api", robot=robot).json["who"] == "right"
        said = answer("left", robot, "-H", "x-forwarded-for: 6.6.6.6", "-H", "x-forwarded-user: root").json["headers"]
        assert said["x-forwarded-for"] == visitors.own_address(edge.address(robot))
        assert "x-forwarded-user" not in said
        assert said["x-forwarded-client-cert"].endswith("URI=spiffe://fleet.example/ns/default/job/inner/group/inner")
        nothing = answer("other", robot, "--insecure")
        assert (nothing.status, nothing.text) == (404, "Nothing is served here: no route has this host name and path.\n")
    (pod,) = edge.sh("robot1", "cd /run/netns && echo k8s4r-inner-cell-*").split()
    seen = edge.sh("robot1", f"ip netns exec {pod} hostname -I").strip()
    for through, address, client in (("", "127.0.0.1", "172.26.64.1"), (f"ip netns exec {pod} ", edge.address(), seen)):
        heard = json.loads(edge.sh("robot1", f'{through}python3 -c "{ASK}" {address}'))
        assert (heard["who"], heard["headers"]["x-forwarded-for"]) == ("cell", client)
    (proxy,) = edge.sh("robot1", "cd /etc/systemd/system && echo k8s4r-proxy-inner-cell-*").split()
    edge.sh("robot1", f"systemctl stop {proxy}")
    wait_for(lambda: answer("new", "robot2").text == "The service does not answer at the moment.\n", 60, "it still answers")
    assert answer("new", "robot2").status == 503
    edge.sh("robot1", f"systemctl start {proxy}")
    wait_for(lambda: answer("new", "robot2").status == 200, 60, "it does not come back")
    starts, renewed = edge.starts(), edge.certify()
    edge.run("k8s4r.robot.deploy_taskgroup", job=job).well()
    wait_for(lambda: answer("left", "robot1").certificate == renewed.serial, 60, "the old certificate is still shown")
    assert set(edge.run("k8s4r.robot.deploy_taskgroup", job=job).well().changed.values()) == {0}
    assert edge.starts() == starts
    told = edge.run("k8s4r.robot.status", job_name="inner").well().output
    assert len(re.findall(r"r0 ingress\.port +port .*\b444\b", told)) == 2
    edge.remove(job=job).well()
    for robot in ("robot1", "robot2"):
        assert "inner" not in edge.footprint(robot)
        assert edge.sh(robot, "ls /run/netns; ip -o link show type bridge; nft list tables inet") == ""


def test_a_browser_loads_a_page_through_two_host_names(edge):
    edge.fleet.ssh("robot1", install("chromium"), timeout=INSTALL)
    options = "--headless --no-sandbox --disable-gpu --ignore-certificate-errors"
    names = "--host-resolver-rules='MAP *.example 127.0.0.1'"
    page = edge.sh("robot1", f"timeout 120 chromium {options} {names} --dump-dom https://left.example/page 2>/dev/null")
    assert '<p id="a">right spoke</p>' in page
    assert '<p id="b">echoed</p>' in page


def test_nothing_is_left(edge):
    edge.remove(job="job.yml").well()
    for robot in ("robot1", "robot2"):
        assert "edge" not in edge.footprint(robot)
