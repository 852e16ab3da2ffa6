# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container robot of each systemd that the compiler's output must work on."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.integration.compile.looks import Once
from tests.integration.engine.harness import Machine
from tests.robots import RobotSpec, borrowed

# Debian 11, 12 and 13: systemd 247, 252 and 257, Python 3.9, 3.11 and 3.13.
DISTROS = ("bullseye", "bookworm", "trixie")
# For what is about our own programs more than about systemd. The compiler gives the middle one the units of the newest: no version that
# it asks for lies between them. And the middle one is the robot of almost all tests outside of this directory.
ENDS = ("bullseye", "trixie")

ENVOY = "/opt/k8s4r/bin/envoy"

# Who makes the control groups of containers: Docker by itself, as it does by default on cgroup v1, or systemd, as on v2.
CONTROL_GROUPS = {"bookworm": "cgroupfs", "trixie": "systemd"}
# Inside of a container there is neither an overlay file system nor the kernel's log, and a network cannot be told to have no IPv6.
DOCKER = """
mkdir -p /etc/docker /root/image/bin
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
cat > /etc/docker/daemon.json <<E
{"storage-driver": "vfs", "insecure-registries": ["127.0.0.1:5000"], "exec-opts": ["native.cgroupdriver=$CONTROL_GROUPS"]}
E
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n' > /etc/systemd/system/docker.service.d/tests.conf
systemctl daemon-reload; systemctl start docker
cp /bin/busybox /root/image/bin/
for name in sh sleep cat env id wget nc mkdir touch ls ulimit date grep sort false; do ln -sf busybox /root/image/bin/$name; done
"""


@pytest.fixture(scope="package")
def distros():
    with borrowed("compile", [RobotSpec(distro, distro) for distro in DISTROS]) as fleet:
        yield fleet


def each_of(names):
    """The fixture ``machine``: a test that asks for it runs on each of these robots. A test file may have one of its own."""

    @pytest.fixture(params=names)
    def machine(request, distros):
        machine = Machine(distros, request.param)
        machine.clean(engine=True)
        return machine

    return machine


machine = each_of(DISTROS)


@pytest.fixture(scope="package")
def looked() -> dict[str, Once]:
    return {}


@pytest.fixture
def found(looked, request, machine):
    """What the tasks of a test file found on the machine: its `look` is called once for each."""
    return looked.setdefault(request.module.__name__, Once(request.module.look)).found(machine)


@pytest.fixture
def envoy(machine):
    """The machine with Envoy from the local mirror, in the place where provisioning puts it."""
    variables = json.loads(machine.fleet.inventory.read_text())["all"]["vars"]
    version = variables["envoy_version"]
    source = f"{variables['envoy_mirror_url']}/envoyproxy/envoy/releases/download/v{version}/envoy-{version}-linux-x86_64"
    fetch = f"import urllib.request; urllib.request.urlretrieve({source!r}, {ENVOY!r})"
    machine.sh(f"[ -x {ENVOY} ] || (mkdir -p /opt/k8s4r/bin && python3 -c {shlex.quote(fetch)} && chmod 755 {ENVOY})")
    return machine


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def engine(request):
    """A robot with Docker."""
    with borrowed("docker", [RobotSpec(request.param, request.param, labels={"role": "engines"})]) as robots:
        machine = Machine(robots, request.param)
        machine.sh(f"CONTROL_GROUPS={CONTROL_GROUPS[request.param]}{DOCKER}")
        yield machine


@pytest.fixture
def docker(engine):
    """The same with nothing of ours, and with these images."""
    engine.sh("systemctl start docker containerd")
    engine.until("docker info >/dev/null 2>&1")
    engine.clean(engine=True)
    engine.sh("docker ps -aq | xargs -r docker rm -f; docker images -aq | sort -u | xargs -r docker rmi -f")
    engine.sh("tar -C /root/image -c . | docker import - look:1; tar -C /root/image -c --exclude=bin/sh . | docker import - noshell:1")
    return engine
