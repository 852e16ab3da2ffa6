# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system user of its own primary group, declared for systemd-sysusers so that the declaration outlives us.

A number is given out once in a robot's life: wherever a program can write, files may be left that belong to it, and programs that
whoever starts them becomes its owner (setuid). So the engine chooses numbers itself, and never forgets which user had one.
"""

from __future__ import annotations

from ..say.errors import CommandFailed
from ..system import command, files
from ..system.accounts import number_taken, user_exists, user_id
from ..system.files import COPY
from . import shape
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Resource
    from ..state.robot import Robot
    from ..system.observe import Observer, State

NAME = r"k8s4r-[a-z0-9_-]{1,25}"
DIRECTORY = "/etc/sysusers.d"

# Those that systemd takes for DynamicUser=: nobody else gives one of them out, and it takes none that a user has.
NUMBERS = range(61184, 65520)
# Below the state directory: each user of a group that this robot ever had, and its number, a line each.
GIVEN = "users"


class User(Kind):
    KEYS = {"name": str, "description": str}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        if not shape.matches(NAME, resource["name"]):
            yield f"{where}.name: {resource['name']!r} is not an allowed user name"
        if shape.has_control(resource["description"]) or ":" in resource["description"]:
            yield f"{where}.description: must not contain control characters or colons"

    def place(self, resource: Resource) -> str:
        return f"{DIRECTORY}/{resource['name']}.conf"

    def expected(self, resource: Resource) -> State:
        return {"type": "user", "declaration": declaration(resource), "exists": True}

    def actual(self, resource: Resource, _observer: Observer) -> State | None:
        try:
            with open(self.place(resource), encoding="utf-8", errors="replace") as stream:
                declared: str | None = stream.read()
        except FileNotFoundError:
            declared = None
        exists = user_exists(resource["name"])
        if declared is None and not exists:
            return None
        return {"type": "user", "declaration": declared, "exists": exists}

    def fix(self, resource: Resource, robot: Robot) -> None:
        if not user_exists(resource["name"]):
            # Never declared with its number: a robot that is made anew from its declarations has forgotten the numbers, too.
            command.need(["systemd-sysusers", "--inline", declaration(resource, str(_number(resource["name"], robot)))], timeout=60)
        files.write(self.place(resource), declaration(resource).encode("utf-8"), 0, 0, 0o644)

    def remove(self, resource: Resource, _robot: Robot) -> None:
        from ..system import processes

        if user_exists(resource["name"]):
            # Its units are down. What got out of them, by cron for one, is no less the group's.
            processes.end(user_id(resource["name"]))
            command.need(["userdel", resource["name"]], timeout=60)
        files.remove(self.place(resource))

    def outlives(self, _resource: Resource, data: t.Sequence[str]) -> bool:
        """People find data by the name of its owner."""
        return bool(data)

    def user(self, resource: Resource) -> str | None:
        return resource["name"]


def _number(name: str, robot: Robot) -> int:
    """The number that a user has had before, else one that no user ever had; it is written down before anyone gets it."""
    path = f"{robot.state}/{GIVEN}"
    # It only ever grows: what either of the two has was given.
    given = list(dict.fromkeys(_given(path) + _given(path + COPY)))
    last = dict(given).get(name)
    if last is not None and not number_taken(last):
        return last
    had = {each for _user, each in given}
    number = next((each for each in NUMBERS if each not in had and not number_taken(each)), None)
    if number is None:
        problem = f"no number is left for the user {name}: {len(had)} have been given to users of groups, and none is given twice"
        remedy = "free some by removing all that belongs to them, and their lines in both"
        raise CommandFailed(f"{problem}. {path} and its copy list them: {remedy}")
    content = "".join(f"{user} {each}\n" for user, each in (*given, (name, number))).encode("ascii")
    for each in (path, path + COPY):
        files.replace(each, content)
    return number


def _given(path: str) -> list[tuple[str, int]]:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            lines = [line.split() for line in stream]
    except FileNotFoundError:
        return []
    return [(line[0], int(line[1])) for line in lines if len(line) == 2 and line[1].isdigit()]


def declaration(resource: Resource, number: str = "-") -> str:
    """The sysusers.d(5) file: a user without home and shell."""
    description = resource["description"].replace("\\", "\\\\").replace('"', '\\"')
    return f'u {resource["name"]} {number} "{description}" - -\n'
