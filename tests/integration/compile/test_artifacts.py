# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks bring along, from a server on the robot itself, on the oldest systemd and the newest."""

from __future__ import annotations

import base64
import hashlib
import io
import pathlib
import shlex
import shutil
import tarfile
import typing as t

import pytest

from tests.integration.compile.conftest import ENDS, each_of
from tests.integration.compile.jobs import job, shell, without_groups
from tests.integration.engine.harness import Machine, request_of
from tests.robots.host import need

machine = each_of(ENDS)

ROOT = "/srv/k8stest"
URL = "http://127.0.0.1:18080"
CANARY = "canary-0b5f2a"
TASK = "/var/lib/k8s4r/tasks/brings-g-r0-one-*"

# It knows parts, tells what it has sent, and of a file whose name says so it sends no more than a part until it is told to go on.
SERVER = f"""
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = "{ROOT}/" + self.path.partition("?")[0].strip("/")
        if not os.path.isfile(path) or (self.path.startswith("/private") and "Authorization" not in self.headers):
            self.send_error(404 if not os.path.isfile(path) else 401)
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        size = os.path.getsize(path)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {{start}}-{{size - 1}}/{{size}}")
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", '"%d"' % os.stat(path).st_mtime_ns)
        self.end_headers()
        with open(path, "rb") as stream:
            stream.seek(start)
            while chunk := stream.read(65536):
                self.wfile.write(chunk)
                print("sent", len(chunk), flush=True)
                while "held" in path and stream.tell() > 1 << 20 and not os.path.exists("{ROOT}/go"):
                    time.sleep(0.05)
    def log_message(self, *words):
        print("asked", self.path, self.headers.get("Range", "whole"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", 18080), Handler).serve_forever()
"""


def tar(files: dict[str, str], mode: int = 0o644) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


class Server:
    """The server on a robot, and what it has been asked for."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.execute(f"systemctl stop k8stest-server; rm -rf {ROOT}; mkdir -p {ROOT}/private")
        self.start()

    def start(self) -> None:
        self.machine.sh(f"systemd-run --quiet --unit k8stest-server -p StandardOutput=append:{ROOT}/log python3 -c {shlex.quote(SERVER)}")
        self.machine.listens(18080)

    def stop(self) -> None:
        self.machine.sh("systemctl stop k8stest-server")

    def put(self, name: str, content: bytes) -> str:
        assert self.machine.execute(f"cat >{ROOT}/{name}", content).status == 0
        return f"{URL}/{name}"

    def asked(self) -> list[str]:
        return [line for line in self.machine.sh(f"cat {ROOT}/log").splitlines() if line.startswith("asked")]


@pytest.fixture
def server(machine: Machine) -> t.Iterator[Server]:
    server = Server(machine)
    yield server
    machine.execute(f"systemctl stop k8stest-server; rm -rf {ROOT}")


def brings(machine: Machine, *artifacts: dict[str, t.Any], script: str = "exec sleep 1000", **keys: t.Any) -> dict[str, t.Any]:
    return job(machine, "brings", shell("one", script, artifacts=list(artifacts), **keys))


def test_a_task_finds_its_files_and_nobody_is_asked_again(machine, server):
    script = "ls -l local/app/bin/run; exec $NOMAD_TASK_DIR/app/bin/run"
    program = tar({"app/bin/run": "#!/bin/sh\nid -un >$NOMAD_ALLOC_DIR/who\nexec sleep 1000\n"}, 0o755)
    url, config = server.put("app.tar.gz", program), server.put("config.json", b"{}")
    wanted = brings(machine, {"getterSource": url}, {"getterSource": config, "relativeDest": "local/etc"}, script=script)
    prepared = machine.prepare(wanted)
    assert prepared["status"] == "staged", prepared
    said = [change["does"] for change in prepared["summary"]]
    assert f"artifact {url} is sha256:{hashlib.sha256(program).hexdigest()}" in said
    machine.absent(f"ls {TASK} 2>/dev/null | grep .")
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    machine.until("[ -s /var/lib/k8s4r/groups/brings-g-*/alloc/who ]")
    user = machine.sh("cat /var/lib/k8s4r/groups/brings-g-*/alloc/who").strip()
    assert machine.sh(f"stat -c '%U %a' {TASK}/local/app/bin/run {TASK}/local/etc/config.json").splitlines() == [
        f"{user} 755",
        f"{user} 644",
    ]
    # An unchanged deploy, and one that forgot everything but the cache.
    asked = server.asked()
    assert len(asked) == 2
    assert machine.ask(wanted)["status"] == "unchanged"
    server.stop()
    assert machine.ask(wanted)["status"] == "unchanged"
    machine.sh("systemctl restart 'k8s4r-task-brings-*'")
    machine.sh(f"rm -r {TASK}/local/app")
    assert machine.ask(wanted)["status"] == "plan-needed"
    assert machine.deploy(wanted)["status"] == "committed"
    machine.sh(f"test -x {TASK}/local/app/bin/run")
    assert server.asked() == asked
    assert machine.deploy(without_groups(wanted))["status"] == "committed"
    machine.absent(f"ls {TASK} 2>/dev/null | grep .")


def up(machine: Machine, wanted: dict[str, t.Any]) -> None:
    result = machine.deploy(wanted)
    assert result["status"] == "committed", result


def pid(machine: Machine) -> str:
    return machine.sh("systemctl show -p MainPID --value k8s4r-task-brings-g-r0-one-*").strip()


def test_what_cannot_be_had_is_refused_and_what_runs_runs_on(machine, server):
    good = {"getterSource": server.put("a.txt", b"one")}
    up(machine, brings(machine, good))
    before = pid(machine)
    right, wrong = hashlib.sha256(b"two").hexdigest(), hashlib.sha256(b"three").hexdigest()
    url = server.put("b.txt", b"two")
    gone = f"{URL}/gone.txt"
    evil = server.put("evil.tar.gz", tar({"../../x": "x"}))
    git = f"git::{URL}/repository"
    refused = machine.deploy(
        brings(machine, good, {"getterSource": f"{url}?checksum=sha256:{wrong}"}, {"getterSource": gone}, {"getterSource": git})
    )
    assert refused["status"] == "refused"
    assert f"artifacts[1]: {url}: its checksum is sha256:{right}, and the job wants sha256:{wrong}" in refused["errors"][0]
    assert f"artifacts[2]: {gone}: the server answers 404 Not Found" in refused["errors"][1]
    assert "this robot has no git; install it, or name an archive of the repository by https" in refused["errors"][2]
    refused = machine.deploy(brings(machine, good, {"getterSource": evil}))
    assert refused["status"] == "refused"
    assert "../../x: leads out of the archive" in refused["errors"][0]
    assert pid(machine) == before
    assert machine.sh(f"cat {TASK}/local/a.txt") == "one"
    # Its address is not fixed to what was of no use.
    server.put("evil.tar.gz", tar({"x": "mended"}))
    up(machine, brings(machine, good, {"getterSource": evil}))
    assert machine.sh(f"cat {TASK}/local/x") == "mended"
    # The robot has it by now.
    server.stop()
    up(machine, brings(machine, good, {"getterSource": f"{url}?checksum=sha256:{right}", "relativeDest": "alloc/b", "getterMode": "file"}))
    assert machine.sh("cat /var/lib/k8s4r/groups/brings-g-*/alloc/b") == "two"


def test_a_changed_artifact_takes_the_place_of_the_old_one_and_comes_back_with_it(machine, server):
    """What the task wrote itself stays. The second release does not start."""
    old = server.put("app-1.tar.gz", tar({"a-spool/": "", "app/old": "1", "app/both": "1", "app/mine": "1"}))
    new = server.put("app-2.tar.gz", tar({"a-spool/": "", "app/new": "2", "app/both": "2"}))
    script = "test -e local/own || echo own >local/own; test -e app/new || echo mine >app/mine; echo up >up; exec sleep 1000"
    up(machine, brings(machine, {"getterSource": old}, script=f"ln -sf . local; {script}"))
    machine.until(f"[ -s {TASK}/local/up ]")
    before = pid(machine)
    listing = f"cd {TASK}/local && for file in app/*; do echo $file $(cat $file); done"
    first = machine.sh(listing)
    assert first.split("\n")[:3] == ["app/both 1", "app/mine mine", "app/old 1"]
    failed = machine.deploy(brings(machine, {"getterSource": new}, script="exit 1", restartPolicy={"attempts": 0, "mode": "fail"}))
    assert failed["status"] == "rolled-back", failed
    assert machine.sh(listing) == first
    server.stop()
    up(machine, brings(machine, {"getterSource": new}))
    assert pid(machine) != before
    assert machine.sh(listing).split("\n")[:3] == ["app/both 2", "app/mine mine", "app/new 2"]
    machine.sh(f"cat {TASK}/local/own; test -d {TASK}/local/a-spool")
    assert machine.ask(brings(machine, {"getterSource": new}))["status"] == "unchanged"
    # A release without them starts without them, and is judged by that.
    failed = machine.deploy(brings(machine, script="test -e app/new && exec sleep 1000", restartPolicy={"attempts": 0, "mode": "fail"}))
    assert failed["status"] == "rolled-back", failed
    assert machine.sh(listing).split("\n")[:3] == ["app/both 2", "app/mine mine", "app/new 2"]
    up(machine, brings(machine))
    assert machine.sh(f"ls {TASK}/local/app") == "mine\n"
    assert machine.ask(brings(machine))["status"] == "unchanged"
    before = pid(machine)
    # That there are none is not remembered for ever, and nothing stops for that.
    assert machine.deploy(brings(machine), refresh=True)["status"] == "committed"
    machine.absent("grep -r /artifacts /var/lib/k8s4r/ledger")
    assert pid(machine) == before


def test_a_task_that_puts_links_in_the_way_leads_nobody_astray(machine, server):
    script = "rm -rf app etc; ln -s /etc app; ln -s /root/file etc; ln -s /root/.. alloc; echo up >up; exec sleep 1000"
    up(machine, brings(machine, script=script))
    machine.until(f"[ -s {TASK}/local/up ]")
    machine.sh("mkdir -p /root; echo root >/root/file; rm -f /etc/k8stest")
    app = server.put("app.tar.gz", tar({"app/k8stest": "1", "etc": "2"}))
    up(machine, brings(machine, {"getterSource": app}, {"getterSource": app, "relativeDest": "local/alloc/deep"}))
    machine.absent("ls /etc/k8stest /deep 2>/dev/null | grep .")
    assert machine.sh("cat /root/file") == "root\n"
    assert machine.sh(f"cat {TASK}/local/app/k8stest {TASK}/local/etc {TASK}/local/alloc/deep/etc") == "122"
    # What goes is taken out by nobody who follows a link either.
    machine.sh(f"cd {TASK}/local && rm -r app && ln -s /etc app; echo kept >/etc/k8stest")
    up(machine, brings(machine))
    assert machine.sh("cat /etc/k8stest; rm /etc/k8stest") == "kept\n"


def test_a_password_is_nowhere_but_in_files_of_root(machine, server):
    server.put("private/held.bin", bytes(8 << 20))
    source = f"http://user:{CANARY}@127.0.0.1:18080/private/held.bin?token={CANARY}"
    wanted = brings(machine, {"getterSource": source, "headers": {"X-Token": CANARY}})
    answer = machine.call(**{**request_of(wanted), "plan": {"format": 1, "jobs": [wanted]}})
    for _look in range(3):
        machine.absent("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -a '[c]anary-0b5f2a'")
    server.put("go", b"")
    prepared = machine.finish(answer)
    assert prepared["status"] == "staged", prepared
    committed = machine.finish(machine.call(op="switch", release=prepared["release"]))
    assert committed["status"] == "committed"
    assert CANARY not in str((answer, prepared, committed))
    found = machine.execute(
        f"grep -raslF {CANARY} /var/lib/k8s4r /run/k8s4r /run/systemd /etc/systemd /etc/k8s4r | xargs -r stat -c '%U %a %n'"
    ).stdout
    assert {line.rpartition(" ")[0] for line in found.splitlines()} <= {"root 600"}, found
    assert {line.split("/")[4] for line in found.splitlines()} <= {"store"}, found
    machine.absent(f"journalctl --sync; journalctl -o cat | grep -F '{CANARY[:6]}''{CANARY[6:]}'")
    refused = machine.deploy(brings(machine, {"getterSource": source.replace("held.bin", CANARY)}))
    assert refused["status"] == "refused"
    server.machine.sh(f"test -e {ROOT}/private/held.bin")


def test_a_staging_that_is_killed_goes_on(machine, server):
    content = bytes(12 << 20) + b"end"
    url = server.put("held.bin", content)
    wanted = brings(machine, {"getterSource": url})
    answer = machine.call(**{**request_of(wanted), "plan": {"format": 1, "jobs": [wanted]}})
    # A busy robot may still be at the plan.
    while f"r0 one: artifact {url}: " not in answer.get("progress", ""):
        assert answer["status"] == "pending"
        answer = machine.call(op="poll", release=answer["release"])
    machine.until("[ 0$(stat -c %s /var/lib/k8s4r/cache/partial/* 2>/dev/null | sort -n | tail -1) -gt 500000 ]")
    machine.sh("systemctl kill --signal KILL 'k8s4r-prepare-*'")
    server.put("go", b"")
    prepared = machine.finish(answer)
    assert prepared["status"] == "staged", prepared
    assert machine.finish(machine.call(op="switch", release=prepared["release"]))["status"] == "committed"
    assert machine.sh(f"sha256sum <{TASK}/local/held.bin").split()[0] == hashlib.sha256(content).hexdigest()
    # On a busy machine it may have given up waiting, too.
    first, second, *others = server.asked()
    assert first.endswith("whole")
    assert all(int(each.partition("bytes=")[2][:-1]) >= 500000 for each in (second, *others))


def test_a_check_fetches_nothing_and_a_refresh_looks_again(machine, server):
    url = server.put("a.txt", b"one")
    wanted = brings(machine, {"getterSource": url})
    planned = machine.prepare(wanted, check=True)
    assert planned["status"] == "planned"
    assert f"artifact {url} is still to be fetched" in [change["does"] for change in planned["summary"]]
    assert not server.asked()
    up(machine, wanted)
    server.put("a.txt", b"two")
    assert machine.ask(wanted)["status"] == "unchanged"
    assert machine.ask(wanted, refresh=True)["status"] == "plan-needed"
    planned = machine.prepare(wanted, check=True, refresh=True)
    assert [change["does"] for change in planned["summary"]] == [f"artifact {url} will be asked again"]
    assert machine.deploy(wanted, refresh=True)["status"] == "committed"
    assert machine.sh(f"cat {TASK}/local/a.txt") == "two"
    assert machine.deploy(wanted, refresh=True)["status"] == "recorded"
    machine.sh(f"rm {ROOT}/a.txt")
    kept = machine.deploy(wanted, refresh=True)
    assert kept["status"] == "recorded"
    assert "the server answers 404 Not Found" in str(kept["summary"])


def lend(machine: Machine, program: str) -> None:
    """Give a program of this machine's, which is Debian's of the same version, to a robot whose image has it not."""
    need(program)
    lent = pathlib.Path(shutil.which(program) or program).read_bytes()
    assert machine.execute(f"cat >/usr/bin/{program} && chmod 755 /usr/bin/{program}", lent).status == 0


def test_a_robot_needs_zstd_for_what_is_packed_with_it(distros):
    machine = Machine(distros, "bookworm")
    machine.clean(engine=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))

    def frame(plain: bytes) -> bytes:
        """One block that is not compressed (RFC 8878)."""
        return b"\x28\xb5\x2f\xfd\xa0" + len(plain).to_bytes(4, "little") + (len(plain) << 3 | 1).to_bytes(3, "little") + plain

    machine.execute("mkdir -p /srv/k8szst && cat >/srv/k8szst/x.tar.zst", frame(content.getvalue()))
    machine.execute("cat >/srv/k8szst/map.bin.zst", frame(b"a map"))
    wanted = brings(machine, *({"getterSource": f"/srv/k8szst/{name}"} for name in ("x.tar.zst", "map.bin.zst")))
    refused = machine.deploy(wanted)
    assert (refused["status"], "this robot has no zstd, which unpacks it; install" in refused["errors"][0]) == ("refused", True), refused
    lend(machine, "zstd")
    try:
        up(machine, wanted)
        machine.sh(f"test -f {TASK}/local/empty")
        assert machine.sh(f"cat {TASK}/local/map.bin") == "a map"
    finally:
        machine.sh("rm -r /usr/bin/zstd /srv/k8szst")


REPOSITORY = """
ln -sf git /usr/bin/git-upload-pack; id keeper >/dev/null 2>&1 || useradd --create-home --home-dir /srv/keeper --shell /bin/sh keeper
rm -rf /srv/keeper/.ssh /srv/keeper/maps /root/k8stest-*; mkdir -p /srv/keeper/.ssh; cd /root
for name in mine other; do ssh-keygen -q -t ed25519 -N '' -f /root/k8stest-$name; done
cp k8stest-mine.pub /srv/keeper/.ssh/authorized_keys; chown -R keeper /srv/keeper
setpriv --reuid=keeper --clear-groups env HOME=/srv/keeper sh -ec '
    git init -q /srv/keeper/maps 2>&1; cd /srv/keeper/maps; echo north >yard; git add yard
    git -c user.name=k -c user.email=k@a.example commit -qm one'
"""


def test_a_repository_comes_over_ssh_by_the_key_of_the_job(distros):
    """From the robot's own sshd, with this machine's git. What the robot itself has of keys is not used."""
    machine = Machine(distros, "bookworm")
    machine.clean(engine=True)
    lend(machine, "git")
    try:
        machine.sh(REPOSITORY)
        mine, other = (machine.sh(f"cat /root/k8stest-{name}") for name in ("mine", "other"))

        def wanted(key: str) -> dict[str, t.Any]:
            options = {"sshkey": base64.b64encode(key.encode()).decode()} if key else {}
            return brings(machine, {"getterSource": "git::ssh://keeper@127.0.0.1/srv/keeper/maps", "getterOptions": options})

        machine.sh("mkdir -p /root/.ssh; cp /root/k8stest-mine /root/.ssh/id_ed25519")
        for key in (other, ""):
            refused = machine.deploy(wanted(key))
            assert (refused["status"], "Permission denied" in refused["errors"][0]) == ("refused", True), refused
        up(machine, wanted(mine))
        assert machine.sh(f"cat {TASK}/local/yard") == "north\n"
        assert "127.0.0.1" in machine.sh("cat /var/lib/k8s4r/cache/known_hosts")
        machine.absent("ls /var/lib/k8s4r/cache/partial | grep git")
    finally:
        machine.sh("rm -rf /usr/bin/git /usr/bin/git-upload-pack /root/.ssh/id_ed25519 /root/k8stest-*; userdel --remove keeper 2>&1")
