# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of resource answers: where a resource is, what should be, what is, and how to get there.

A new kind is a file with a class of its own beside this one, a row in kinds.py, and a constructor in plan/resources.py. No other
file of the engine asks which kind a resource is. What several kinds have is called the same in all of them: ``path`` or
``name`` is what people call it; ``content`` is bytes in the store and its ``digest`` in the resource; ``owner``,
``group`` and ``mode`` are those of what is at the path; ``secret`` content is shown nowhere; ``data`` is what programs wrote.
"""

from __future__ import annotations

from ..system import files, observe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import Port, Resource, Told
    from ..state.robot import Robot
    from ..system.observe import Observer, State
    from .asking import Asking


class Kind:
    """What most kinds have in common: something at a path, which is neither a unit nor a user and goes with its group."""

    # {key: type} that a resource in a plan must have.
    KEYS: t.ClassVar[t.Mapping[str, type]] = {}

    def check(self, where: str, resource: Resource) -> t.Iterator[str]:
        """What is wrong with a resource that has its keys; ``where`` is its place in the plan."""
        raise NotImplementedError

    def place(self, resource: Resource) -> str:
        """The path by which it is known; two resources of one place would be in each other's way."""
        return resource["path"]

    def on_disk(self, resource: Resource) -> str:
        """A path that is there as long as it is; empty where no path tells that."""
        return self.place(resource)

    def expected(self, resource: Resource) -> State:
        """What should be, comparable with `actual`."""
        raise NotImplementedError

    def actual(self, resource: Resource, observer: Observer) -> State | None:
        """What is; None where it is absent."""
        return observer.path(self.place(resource))

    def content(self, resource: Resource) -> bytes:
        """The bytes that are there, for a person who compares them with what should be."""
        return observe.read(self.place(resource))

    def differences(self, _before: str, _after: str) -> t.Sequence[str]:
        """What differs between two of its contents, as people call it; nothing where its label says all."""
        return ()

    def fix(self, resource: Resource, robot: Robot) -> None:
        """Make it so."""
        raise NotImplementedError

    def hurry(self) -> None:
        """From now on, who gives no answer is not waited for: the boot waits for us."""

    def obstacles(self, _resource: Resource, _robot: Robot) -> t.Iterable[str]:
        """Why it cannot be made so, as far as can be told before anything changes."""
        return ()

    def emptied(self, _resource: Resource) -> Resource | None:
        """What takes its place where it is wanted no longer, and what it is in still is; with a content, as in a plan. None for what can go
        after the commit: programs may start as long as it is there.
        """
        return None

    def comes_from_elsewhere(self, _resource: Resource) -> bool:
        """Whether it, or a part of it, is to be had from others than the controller."""
        return False

    def fetched(self, resource: Resource, _asking: Asking, _tell: t.Callable[[str], None]) -> Resource:
        """It, with what comes from elsewhere, as far as that is known or may be asked. Raises `Refusal`."""
        return resource

    def blobs(self, _resource: Resource) -> t.Sequence[str]:
        """The SHA-256 of what was downloaded for it, and is needed as long as it is."""
        return ()

    def stage(self, resource: Resource, robot: Robot, tell: t.Callable[[str], None]) -> None:
        """Do beforehand what would keep the switch waiting. Raises `Refusal`."""

    def remove(self, resource: Resource, _robot: Robot) -> None:
        """Make it absent."""
        files.remove(self.place(resource))

    def missed_in(self, _resource: Resource) -> t.Sequence[str]:
        """Directories of a plan that are checked, found or bounded no longer when it goes: if they stay, a person is told."""
        return ()

    def outlives(self, _resource: Resource, _data: t.Sequence[str]) -> bool:
        """Whether it stays when its group goes, because of these directories of data that are kept."""
        return False

    def extends(self, _resource: Resource, _now: State | None) -> bool:
        """Whether it is first extended by what is new and only replaced when all else is in place; ``_now``: what is there."""
        return False

    def extend(self, resource: Resource, robot: Robot) -> None:
        """Put what is new beside what is there."""
        raise NotImplementedError

    def reads(self, _resource: Resource) -> t.Sequence[str]:
        """Paths of files of its group that it takes in."""
        return ()

    def refreshes(self, _resource: Resource) -> t.Mapping[str, str]:
        """Paths of files of its group that it takes in without a restart, each with what people call that."""
        return {}

    def told(self, _resource: Resource) -> Told | None:
        """What runs beside it when it takes in changed files."""
        return None

    def holds(self, _resource: Resource) -> t.Sequence[str]:
        """Directories that it has open as long as it runs, with what is below them."""
        return ()

    def stops(self, _resource: Resource) -> str:
        """How its program is asked to end, as it is only compared; empty for what has no program, or where that is not known."""
        return ""

    def logs(self, _resource: Resource) -> str:
        """The directory of its log files; empty for what has none."""
        return ""

    def listens(self, _resource: Resource) -> t.Sequence[Port]:
        """Where its program must listen in the pod in which it runs; nothing for what runs in none."""
        return ()

    def checks(self, _resource: Resource) -> str:
        """The file with its health checks; empty for what has none."""
        return ""

    def settles(self, _resource: Resource) -> float | None:
        """For how many seconds it must have done well to be healthy; None for the usual time."""
        return None

    def deadline(self, _resource: Resource) -> float | None:
        """How many seconds its health checks have to pass; None for the usual time."""
        return None

    def pause(self, _resource: Resource) -> float:
        """For how many seconds it is down before it is started again; 0 for the usual time."""
        return 0.0

    def changes_hands(self, _resource: Resource, _now: State | None) -> bool:
        """Whether its fix takes away what programs of an old owner use; ``_now``: what is there."""
        return False

    def rests_while_changed(self, _resource: Resource) -> bool:
        """Whether it is a unit that must be down while its own file changes: as a timer that is up, it would begin at once what was due by
        its new times since it last began anything.
        """
        return False

    def is_hook(self, _resource: Resource) -> bool:
        """Whether it is a unit of a program that runs once its instance has started, or has ended."""
        return False

    def unit(self, _resource: Resource) -> str | None:
        """The name of the systemd unit that it is."""
        return None

    def runs(self, _resource: Resource) -> bool:
        """Whether it is a unit that shall run, or shall have run."""
        return False

    def restarts(self, _resource: Resource) -> bool:
        """Whether it is a unit that must start again to take in what has changed."""
        return False

    def starts_the_others(self, _resource: Resource) -> bool:
        """Whether it is a unit whose start starts all of its group that is down."""
        return False

    def steady(self, _resource: Resource) -> bool:
        """Whether it is a unit that does well only when it has been active for a while."""
        return False

    def ends(self, _resource: Resource) -> bool:
        """Whether it is a unit that also does well when it has come to its end."""
        return False

    def finished(self, _resource: Resource) -> bool:
        """Whether it is a unit that does not run again, because its work is done."""
        return False

    def installs(self, _resource: Resource) -> bool:
        """Whether it may bring programs that other units of its group start."""
        return False

    def of_anyone(self, _resource: Resource) -> bool:
        """Whether programs in it may run as any user, whom nobody knows."""
        return False

    def user(self, _resource: Resource) -> str | None:
        """The name of the user, and of its own group, that it makes."""
        return None
