# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is timed: commands that leave two robots as they are, and one that changes them."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import typing as t

from .stage import HERE, Bench, BenchError, Timed


class Contender(t.NamedTuple):
    """`before` is done before each run and not timed; `verify` raises when the run was not what it should have been.

    `often`: its ratio is near its goal, so it takes part several times in each round.
    """

    name: str
    command: t.Sequence[str]
    verify: t.Callable[[Timed], None]
    extra: t.Mapping[str, str] = {}
    before: t.Callable[[], object] | None = None
    often: bool = False


PING = "ping playbook"
NOTHING = "a playbook with no task"
SIX = "unchanged deploy: 6 tasks, no proxy"
WEB = "unchanged deploy: web service with proxies and entries"
FRESH_PING = "ping playbook, fresh connections"
FRESH_SIX = "unchanged deploy: 6 tasks, fresh connections"
ROLE = "plain role: 6 units, 6 files"
MITOGEN = "plain role under Mitogen's strategy"
PYINFRA = "the same with pyinfra"
FIRST = "first deploy of the web service"


def contenders(bench: Bench) -> list[Contender]:
    """In the order in which a round runs them."""
    ping = bench.playbook(str(HERE / "plain" / "ping.yml"))
    role = bench.playbook(str(HERE / "plain" / "six.yml"))
    pyinfra = ["pyinfra", "-y", str(HERE / "pyinfra" / "inventory.py"), str(HERE / "pyinfra" / "deploy.py")]
    return [
        Contender(PING, ping, unchanged, often=True),
        Contender(NOTHING, bench.playbook(str(HERE / "plain" / "nothing.yml")), anything, often=True),
        Contender(SIX, bench.deploy("six.yml"), unchanged, often=True),
        Contender(WEB, bench.deploy("web.yml"), unchanged, often=True),
        Contender(FRESH_PING, ping, unchanged, before=bench.disconnect),
        Contender(FRESH_SIX, bench.deploy("six.yml"), unchanged, before=bench.disconnect),
        Contender(ROLE, role, unchanged),
        Contender(MITOGEN, role, unchanged, extra=_mitogen()),
        Contender(PYINFRA, pyinfra, _pyinfra_unchanged),
        Contender(FIRST, bench.deploy("web.yml"), _changed, before=lambda: bench.run(bench.remove("web.yml"))),
    ]


def settle(bench: Bench, everyone: t.Iterable[Contender]) -> None:
    """Bring both robots to where every contender finds nothing to do."""
    for contender in everyone:
        bench.run(contender.command, contender.extra)


def _mitogen() -> dict[str, str]:
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or found.origin is None:
        raise BenchError("Mitogen is not installed; `make bench` installs it")
    plugins = pathlib.Path(found.origin).parent / "plugins" / "strategy"
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}


def changes(timed: Timed) -> list[int]:
    """The numbers of changes in a playbook's recap."""
    return [int(number) for number in re.findall(r"\bchanged=(\d+)", timed.output.rpartition("PLAY RECAP")[2])]


def unchanged(timed: Timed) -> None:
    if any(changes(timed)) or not changes(timed):
        raise BenchError(f"this run should have changed nothing:\n{timed.output[-3000:]}")


def anything(_timed: Timed) -> None:
    """It reports no host at all."""


def _changed(timed: Timed) -> None:
    if not any(changes(timed)):
        raise BenchError(f"this run should have deployed the job:\n{timed.output[-3000:]}")


def _pyinfra_unchanged(timed: Timed) -> None:
    total = next((line.split() for line in timed.output.splitlines() if "Grand total" in line), [])
    if total[3:4] != ["-"] or total[4:5] != ["-"]:
        raise BenchError(f"this run should have changed nothing:\n{timed.output[-3000:]}")
