# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.robots``: the test machines from a shell, for make and molecule."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from tests.robots import Fleet, RobotsError
from tests.robots.host import BUILD, CHECKOUT
from tests.robots.inventory import ssh_options
from tests.robots.spec import ARCHITECTURES, DISTROS, KINDS, specs

# What a controller remembers of these robots is not to meet what it knows of real ones.
HOME = BUILD / "home"
USE = """robots are up: {names}; in this shell, from this directory:
  export PATH=$PWD/.venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$PWD/build K8S4R_HOME=$PWD/{home}
to deploy a job:
  ansible-playbook k8s4r.robot.deploy_taskgroup -i {inventory} -e job=<your-job.yml>
to log in:
  {ssh}"""


def role(text: str) -> tuple[str, int]:
    """``work=2`` as ("work", 2)."""
    name, _equals, count = text.partition("=")
    if not name.isalnum() or not count.isdigit() or not int(count):
        raise argparse.ArgumentTypeError(f"{text!r}: wanted is NAME=COUNT, such as work=2")
    return name, int(count)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.robots", description=__doc__)
    parser.add_argument("--prefix", default="robots", help="the fleet's name; fleets of different names run side by side")
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="bring a fleet up and write its inventory")
    up.add_argument("--n", type=int, default=2, help="robots named robot1, robot2, ... (when no role is given)")
    up.add_argument("--role", type=role, action="append", help="robots of a role: work=2 gives work1 and work2; may be repeated")
    up.add_argument("--distro", choices=DISTROS, default="bookworm")
    up.add_argument("--kind", choices=KINDS, default="container")
    up.add_argument("--arch", choices=ARCHITECTURES, default="amd64", help="arm64 wants --kind vm")
    up.add_argument("--out", type=Path, help="a second place for the inventory")
    actions.add_parser("down", help="remove the fleet and what a crash left of it")
    actions.add_parser("list", help="name the fleet's robots and their addresses")
    for action in ("power-cut", "start", "reboot", "cut-network", "restore-network"):
        actions.add_parser(action, help=f"{action.replace('-', ' ')} of one robot").add_argument("robot")
    return parser


def main() -> None:
    """Do what the command line says."""
    options = arguments().parse_args()
    fleet = Fleet(options.prefix)
    if options.action == "up":
        roles = dict(options.role) if options.role else {"robot": options.n}
        written = fleet.up(specs(roles, options.distro, options.kind, options.arch))
        if options.out and options.out.resolve() != written:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(written, options.out)
        names = fleet.names()
        ssh = shlex.join(["ssh", "-i", str(fleet.key), *ssh_options(fleet.known_hosts, fleet.control), f"root@{fleet.address(names[0])}"])
        shown = written.relative_to(CHECKOUT) if written.is_relative_to(CHECKOUT) else written
        print(USE.format(names=", ".join(names), home=HOME.relative_to(CHECKOUT), inventory=shown, ssh=ssh))
    elif options.action == "down":
        fleet.down()
        shutil.rmtree(HOME, ignore_errors=True)
    elif options.action == "list":
        for name in fleet.names():
            print(name, fleet.address(name))
    else:
        getattr(fleet, options.action.replace("-", "_"))(options.robot)


if __name__ == "__main__":
    try:
        main()
    except RobotsError as error:
        sys.exit(f"robots: {error}")
