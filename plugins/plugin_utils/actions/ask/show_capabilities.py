# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what the robots of the play can do, as one table."""

from __future__ import annotations

import typing as t

from ...compile.fitness import lacks
from ...run.action import Action, Result, Variables, registered
from ...show.abilities import overview


class ActionModule(Action):
    ARGUMENTS: t.ClassVar[dict[str, t.Any]] = {"probed": {"type": "str", "default": "k8s4r_probed"}}

    def act(self, arguments: Variables, variables: Variables) -> Result:
        hosts = variables["hostvars"]
        names = variables["ansible_play_hosts_all"]
        # A robot that is off has left the play before it had a result.
        here = variables["ansible_play_hosts"]
        robots: dict[str, t.Mapping[str, str] | None] = dict.fromkeys(names)
        robots |= {name: registered(hosts.raw_get(name), arguments["probed"], "probe").get("capabilities") for name in here}
        lines = overview(robots, {name: lacks(found) for name, found in robots.items() if found})
        self._display.display("\n".join(lines))
        return {"lines": lines}
