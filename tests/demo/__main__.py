# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.demo``: up, status, ssh, down."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys

from tests.demo import proof
from tests.demo.run import BUILD, DemoError, Progress, install_collection, playbook_command, run_playbook
from tests.robots import Fleet, RobotsError, RobotSpec
from tests.robots.host import CHECKOUT
from tests.robots.inventory import ssh_options

ROBOTS = [
    RobotSpec("work1", labels={"role": "work"}),
    RobotSpec("work2", labels={"role": "work"}),
    RobotSpec(proof.CENTRE, labels={"role": "datacentre"}),
]
# Whose identity answers at the API's address, as the fleet's inventory says it; see examples/inventory.yml.
PEERS = {"api.dc.example:18080": "spiffe://fleet.example/ns/default/job/api/group/api"}
JOBS = "job=examples/web-service/data-centre,examples/web-service/web-service.yml"


def up(fleet: Fleet) -> None:
    """Robots, programs, deployment, proof."""
    progress = Progress()
    progress.step("Three container robots, and releases of SPIRE and Envoy for them (a first time takes minutes)")
    inventory = fleet.up(ROBOTS, {"k8s4r_peers": PEERS})
    progress.step("The collection, from its tarball")
    install_collection()
    progress.step("What an owner brings: programs on the robots, a database in the data centre")
    run_playbook(progress, "prepare", playbook_command(inventory, "examples/web-service/prepare.yml"))
    progress.step("Deploy four jobs; what is missing on the robots is provided on the way")
    deploy = playbook_command(inventory, "examples/deploy-taskgroup.yml", "-e", JOBS)
    first = run_playbook(progress, "deploy", deploy)
    progress.step(f"Deployed in {first.seconds:.1f} s; waiting until the data centre has heard of all instances")
    proof.wait_for_readings(fleet)
    progress.step("Knock at the data centre's doors as somebody else")
    refused = proof.knocks(fleet)
    progress.step("Deploy once more")
    second = run_playbook(progress, "deploy-again", deploy)
    progress.step("Ask the robots")
    proof.wait_for_refusals(fleet)
    show(fleet)
    print(refused)
    print(
        f"\nThe first run changed {first.changed} things in {first.seconds:.1f} s, the second {second.changed} in {second.seconds:.1f} s."
    )
    print(hints(shlex.join(deploy)))
    progress.step("Done")
    if second.changed:
        raise DemoError("a second run must change nothing; its output is in build/demo/deploy-again.log")


def show(fleet: Fleet) -> None:
    """Everything that can be asked without touching anything."""
    seen = proof.look(fleet)
    for text in (proof.show_units(seen), proof.show_words(seen), proof.show_readings(proof.readings(fleet)), proof.show_callers(seen)):
        print(text)


def hints(deploy: str) -> str:
    """How to look around."""
    ssh = f"{os.path.relpath(sys.executable)} -m tests.demo ssh"
    return f"""
Look around:
  make demo-status                                   the tables above, as they are now
  {ssh} work1              a shell on a robot
  {ssh} work1 systemctl status 'k8s4r-*'
  {ssh} work1 'tail -F /var/lib/k8s4r/tasks/*/logs/*.log'
Change examples/web-service/web-service.yml and deploy it (the password of its secrets is "demo"):
  export PATH=$PWD/.venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$PWD/build/demo/collections K8S4R_HOME=$PWD/build/demo/home
  {deploy}
Take it all away:
  make demo-down
"""


def status(fleet: Fleet) -> None:
    """The tables, as they are now."""
    if not fleet.names():
        raise DemoError("the demo is not up; `make demo` brings it up")
    show(fleet)


def ssh(fleet: Fleet, robot: str, command: list[str]) -> None:
    """Become an SSH session on a robot."""
    if robot not in fleet.names():
        raise DemoError(f"no robot is called {robot!r}; there are: {', '.join(fleet.names()) or 'none, the demo is not up'}")
    options = ssh_options(fleet.known_hosts, fleet.control)
    os.execvp("ssh", ["ssh", "-i", str(fleet.key), *options, f"root@{fleet.address(robot)}", *command])


def down(fleet: Fleet) -> None:
    """Remove robots, network, mirror and what the demo wrote; caches stay."""
    fleet.down()
    shutil.rmtree(BUILD, ignore_errors=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.demo", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("up", help="bring it up, or up to date, and show what runs")
    actions.add_parser("status", help="show what runs now")
    shell = actions.add_parser("ssh", help="a shell, or a command, on a robot")
    shell.add_argument("robot")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    actions.add_parser("down", help="take it all away")
    options = parser.parse_args()
    os.chdir(CHECKOUT)
    fleet = Fleet("demo")
    if options.action == "ssh":
        ssh(fleet, options.robot, options.command)
    else:
        {"up": up, "status": status, "down": down}[options.action](fleet)


if __name__ == "__main__":
    try:
        main()
    except (DemoError, RobotsError) as error:
        sys.exit(f"demo: {error}")
