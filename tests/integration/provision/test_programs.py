# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs come to the robots, and that none comes unverified."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request

import pytest

from tests.integration.provision import harness

pytestmark = pytest.mark.robots

ENVOY = "/opt/k8s4r/bin/envoy"


@pytest.fixture
def envoy_digest(provisioned):
    """The digest of the right Envoy; also of its release's file, which is the program itself."""
    return harness.digest(provisioned, "robot2", ENVOY)


def test_a_wrong_checksum_is_refused_and_nothing_is_replaced(ansible, provisioned, envoy_digest):
    run = ansible.envoy("robot2", envoy_checksum={"amd64": "0" * 64, "arm64": "0" * 64})
    run.refused("checksum mismatch", f"has SHA-256 {envoy_digest}, but {'0' * 64} is pinned", "nothing was installed")
    assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest


def test_a_right_pin_changes_nothing(ansible, envoy_digest):
    assert ansible.envoy("robot2", envoy_checksum={"amd64": envoy_digest}).well().changed["robot2"] == 0


def test_a_release_that_is_not_there_is_named(ansible, provisioned):
    assert provisioned
    otherwise = "set envoy_mirror_url, or envoy_download_by: controller"
    ansible.envoy("robot2", envoy_version="0.0.1").refused("/envoyproxy/envoy/releases/download/v0.0.1/checksums.txt.asc", "404", otherwise)


def test_an_exchanged_program_is_put_right_and_its_service_restarted(ansible, provisioned):
    right = harness.digest(provisioned, "robot2", harness.AGENT)
    before = harness.main_pid(provisioned, "robot2", "spire-agent")
    provisioned.ssh("robot2", f"cp {harness.AGENT} /tmp/a; echo >> /tmp/a; mv /tmp/a {harness.AGENT}; systemctl restart spire-agent")
    # Whoever exchanged it may have left the door open, too.
    provisioned.ssh("robot2", "chmod 777 /opt/k8s4r/bin")
    ansible.agent("robot2").well()
    assert provisioned.ssh("robot2", "stat -c %a /opt/k8s4r/bin").strip() == "755"
    assert harness.digest(provisioned, "robot2", harness.AGENT) == right
    assert harness.main_pid(provisioned, "robot2", "spire-agent") != before


RUNNING = """\
cat > /run/systemd/system/k8s4r-proxy-{name}.service <<END
[Service]
Type=exec
ExecStart=/opt/k8s4r/bin/envoy --config-yaml {{}} --disable-hot-restart
END
systemctl start k8s4r-proxy-{name}
until readlink /proc/$(systemctl show --property=MainPID --value k8s4r-proxy-{name})/exe | grep -q 'bin/envoy$'; do sleep 0.1; done
"""
# Another program, which runs in the same way, until the right one is back.
ANOTHER = f"cp {ENVOY} /tmp/right; cp {ENVOY} /tmp/e; echo >> /tmp/e; mv /tmp/e {ENVOY}; "
RIGHT = f"mv /tmp/right {ENVOY}; "


def test_proxies_that_run_a_replaced_program_are_restarted_and_no_others(ansible, provisioned, envoy_digest):
    units = ("k8s4r-proxy-old", "k8s4r-proxy-new")
    try:
        provisioned.ssh("robot2", ANOTHER + RUNNING.format(name="old") + RIGHT)
        # The same bytes in another file are the same program.
        provisioned.ssh("robot2", RUNNING.format(name="new") + f"cp {ENVOY} /tmp/e; mv /tmp/e {ENVOY}")
        before = [harness.main_pid(provisioned, "robot2", unit) for unit in units]
        run = ansible.envoy("robot2").well()
        after = [harness.main_pid(provisioned, "robot2", unit) for unit in units]
        assert (run.changed["robot2"], after[0] == before[0], after[1] == before[1]) == (1, False, True)
        assert ansible.envoy("robot2").well().changed["robot2"] == 0
        assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest
    finally:
        provisioned.ssh("robot2", f"systemctl stop {' '.join(units)}; rm /run/systemd/system/k8s4r-proxy-*; systemctl daemon-reload")


def test_a_proxy_that_cannot_be_restarted_keeps_no_other_from_it(ansible, provisioned, envoy_digest):
    """systemd goes through units by their names, so the two that cannot come first."""
    gone, broken, old = (f"k8s4r-proxy-{name}.service" for name in ("a-gone", "b-broken", "c-old"))
    try:
        provisioned.ssh("robot2", ANOTHER)
        for name in ("a-gone", "b-broken", "c-old"):
            provisioned.ssh("robot2", RUNNING.format(name=name))
        provisioned.ssh("robot2", f"{RIGHT}rm /run/systemd/system/{gone}; systemctl daemon-reload")
        before = [harness.main_pid(provisioned, "robot2", unit) for unit in (gone, old)]
        said = " ".join(ansible.envoy("robot2").well().output.split())
        assert f"robot2: {gone}: still runs the replaced program, because its unit file is missing" in said
        assert all(f"robot2: {unit}: restarted, because its program was replaced" in said for unit in (broken, old))
        after = [harness.main_pid(provisioned, "robot2", unit) for unit in (gone, old)]
        assert (after[0] == before[0], after[1] == before[1]) == (True, False)

        provisioned.ssh("robot2", f"{ANOTHER}systemctl restart {broken} {old}; {RIGHT}sed -i /ExecStart/d /run/systemd/system/{broken}")
        provisioned.ssh("robot2", "systemctl daemon-reload")
        process = harness.main_pid(provisioned, "robot2", old)
        run = ansible.envoy("robot2")
        run.refused(f"{broken}: its program was replaced, and it does not start again:", f"{old}: restarted, because")
        assert harness.main_pid(provisioned, "robot2", old) != process
        assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest
    finally:
        provisioned.ssh("robot2", f"systemctl stop {gone} {broken} {old}; rm /run/systemd/system/k8s4r-proxy-*; systemctl daemon-reload")


def test_by_way_of_the_controller(ansible, provisioned, envoy_digest, tmp_path):
    provisioned.ssh("robot2", f"rm {ENVOY}")
    by_controller = {"envoy_download_by": "controller", "base_controller_cache": str(tmp_path)}
    ansible.envoy("robot2", "--check", envoy_checksum={"amd64": envoy_digest}, **by_controller).well()
    ansible.envoy("robot2", **by_controller).well()
    assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest
    assert ansible.envoy("robot2", **by_controller).well().changed["robot2"] == 0


def test_from_a_file_on_the_controller(ansible, provisioned, envoy_digest, tmp_path):
    hosts = json.loads(provisioned.inventory.read_text())["all"]["vars"]
    name = f"envoy-{hosts['envoy_version']}-linux-x86_64"
    url = f"{hosts['envoy_mirror_url']}/envoyproxy/envoy/releases/download/v{hosts['envoy_version']}/{name}"
    with urllib.request.urlopen(url) as answer, (tmp_path / name).open("wb") as file:
        shutil.copyfileobj(answer, file)
    provisioned.ssh("robot2", f"rm {ENVOY}")
    ansible.envoy("robot2", envoy_archive=str(tmp_path / name)).well()
    assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest
    (tmp_path / name).write_bytes(b"half of it")
    wrong = ansible.envoy("robot2", envoy_archive=str(tmp_path / name), envoy_checksum={"amd64": envoy_digest})
    wrong.refused("on the controller has SHA-256", "is pinned")
    ansible.envoy("robot2", envoy_archive=str(tmp_path / "none")).refused("does not exist on the controller")


BROKEN = "#!/bin/sh\necho $0 $*: no libc >&2\nexit 127\n"


def test_a_program_that_does_not_run_there_replaces_none(ansible, provisioned, envoy_digest, tmp_path):
    (tmp_path / "envoy").write_text(BROKEN)
    told = "/opt/k8s4r/bin/envoy was not installed: it does not run on this machine: envoy --version ends with status 127:", "no libc"
    ansible.envoy("robot2", envoy_archive=str(tmp_path / "envoy")).refused(*told)
    release = "/tmp/broken/envoyproxy/envoy/releases/download/v9"
    provisioned.ssh("robot2", f"mkdir -p {release}; cat > {release}/envoy-9-linux-x86_64 <<'END'\n{BROKEN}END")
    checksum = {"amd64": hashlib.sha256(BROKEN.encode()).hexdigest()}
    try:
        ansible.envoy("robot2", envoy_mirror_url="file:///tmp/broken", envoy_version="9", envoy_checksum=checksum).refused(*told)
    finally:
        provisioned.ssh("robot2", "rm -r /tmp/broken")
    assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest
    assert ".install" not in provisioned.ssh("robot2", "ls -A /opt/k8s4r/bin")


def test_a_program_that_is_already_there(ansible, provisioned, envoy_digest):
    """Also of a proxy that runs it: it stays on the disk where it was, but the proxy is to run what is in its place."""
    there, script = {"envoy_program": "/usr/local/bin/envoy"}, {"envoy_program": "/usr/local/bin/script"}
    ansible.envoy("robot2", **there).refused("/usr/local/bin/envoy does not exist, but the inventory names it as the program envoy")
    # It takes the place of the one that came from the release.
    provisioned.ssh("robot2", f"cp {ENVOY} /usr/local/bin/envoy; echo >> /usr/local/bin/envoy")
    assert ansible.envoy("robot2", **there).well().changed["robot2"] == 1
    try:
        provisioned.ssh("robot2", RUNNING.format(name="there"))
        assert ansible.envoy("robot2", **there).well().changed["robot2"] == 0
        assert provisioned.ssh("robot2", f"readlink {ENVOY}").strip() == "/usr/local/bin/envoy"
        before = harness.main_pid(provisioned, "robot2", "k8s4r-proxy-there")
        ansible.envoy("robot2").well()
        assert harness.main_pid(provisioned, "robot2", "k8s4r-proxy-there") != before
        assert provisioned.ssh("robot2", f"stat -c %F {ENVOY}").strip() == "regular file"
        assert harness.digest(provisioned, "robot2", ENVOY) == envoy_digest

        # What it executes is not what it is: no reason to start the proxy again each time.
        provisioned.ssh("robot2", "cd /usr/local/bin; printf '#!/bin/sh\\nexec /usr/local/bin/envoy \"$@\"\\n' > script; chmod 755 script")
        assert ansible.envoy("robot2", **script).well().changed["robot2"] == 2
        assert ansible.envoy("robot2", **script).well().changed["robot2"] == 0
    finally:
        provisioned.ssh("robot2", "systemctl stop k8s4r-proxy-there; rm /run/systemd/system/k8s4r-proxy-*; systemctl daemon-reload")
    ansible.envoy("robot2").well()


def test_a_full_disk_is_told_and_leaves_nothing(ansible, provisioned):
    provisioned.ssh("robot2", "mount -t tmpfs -o size=20m none /opt/k8s4r/bin")
    try:
        ansible.envoy("robot2").refused("/opt/k8s4r/bin/envoy was not installed", "No space left on device")
        assert provisioned.ssh("robot2", "ls -A /opt/k8s4r/bin") == ""
    finally:
        provisioned.ssh("robot2", "umount /opt/k8s4r/bin")
