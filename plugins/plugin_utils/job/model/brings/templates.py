# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are rendered for a task."""

from ...declare.keys import Seconds, Support, key
from ...declare.record import record
from ..vocabulary import SIGNAL, SIGNALS, USER, ChangeMode, Provider

# Where the files of templates may be: in two directories of the task's own, and in the one that the group's tasks share.
ROOMS = ("local", "secrets", "alloc")
# Bytes, of a path on a robot and of a name in it: less than Linux allows, because a temporary name is longer.
LONGEST_PATH, LONGEST_NAME = 1000, 200


@record
class ChangeScript:
    """A program that runs when a file has changed, as if the task had started it: as its user, and inside its walls."""

    command: str = key("The program.", substituted=True, pattern=r"[^\x00]+", expected="a program")
    args: tuple[str, ...] = key("Its arguments.", factory=tuple, substituted=True)
    timeout: Seconds = key("How long it may take until it is killed.", default=Seconds(5), minimum=0.1, maximum=3600)


@record
class Template:
    """Text that becomes a file of the task before the task starts. Exactly one of `sourcePath` and `embeddedTmpl` is given.

    It is written in Jinja, with the robot's Ansible variables and the task's environment (`env.NAME`), or in consul-template's
    language (`{{ env "NAME" }}`, `{{ range ... }}`): see [templates](templates.md).
    """

    dest_path: str = key(
        "The file: a path below `local/`, `secrets/` or `alloc/`, such as `local/app.conf`.",
        substituted=True, pattern=r"[^\x00-\x1f]+", expected="a path on one line", meant_by=("destination",),
    )  # fmt: skip
    source_path: str | None = key(
        "A file on the controller with the text, relative to the job file.",
        default=None, names_kept=True, pattern=r"[^\x00-\x1f]+", expected="a path on one line", meant_by=("source",),
    )  # fmt: skip
    embedded_tmpl: str | None = key("The text itself.", default=None, names_kept=True, secret=True, meant_by=("data",))
    change_mode: ChangeMode = key(
        "What happens when the text changes: the task restarts (`restart`), it gets a signal (`signal`), a program runs beside it "
        "(`script`), or nothing more (`noop`). The file is replaced in any case.",
        default=ChangeMode.RESTART,
    )
    change_signal: str | None = key(
        "The signal of `changeMode: signal`.",
        default=None, pattern=SIGNAL, known=SIGNALS, expected="a signal, such as SIGHUP or SIGRTMIN+3",
    )  # fmt: skip
    change_script: ChangeScript | None = key("What `changeMode: script` runs.", default=None, ours=True)
    perms: str = key(
        "The file's mode, in octal digits.", default="0644", pattern="0?[0-7]{3}", expected="three octal digits in quotes, such as 0640"
    )
    owner: str | None = key(
        "The file's owner, a user of the robot. Default: the task's user.", default=None, ours=True, pattern=USER, expected="a user name"
    )
    left_delim: str = key(
        "Begins an action, instead of `{{`.",
        default="{{",
        pattern=r"[!-~]{1,10}",
        expected="1 to 10 characters of ASCII without a blank",
        meant_by=("left_delimiter",),
    )
    right_delim: str = key(
        "Ends an action, instead of `}}`.",
        default="}}",
        pattern=r"[!-~]{1,10}",
        expected="1 to 10 characters of ASCII without a blank",
        meant_by=("right_delimiter",),
    )
    env: bool = key(
        "The lines of the rendered file, `KEY=VALUE`, become environment variables of the task, which override all others.",
        default=False,
        ours=True,
    )
    provider: Provider | None = key(
        "Whom a text in consul-template's language asks: `native` (or `nomad`), the run that deploys it; `consul`, the robot's Consul "
        "agent, by a consul-template on the robot, which watches it. Default: `consul` for a text that asks what only Consul knows.",
        default=None,
        ours=True,
    )
    splay: Seconds | None = key(
        "How long a task may wait before it acts on a change.",
        default=None,
        ours=True,
        minimum=0,
        support=Support.NO_EFFECT,
        never="has no effect: Ansible's `forks` and `--limit` say how many robots change at the same time",
    )


def parts(path: str) -> tuple[str, ...]:
    """The components of a destination; empty where it is none below one of `ROOMS`. As in Nomad, it may begin with a slash."""
    found = tuple(part for part in path.split("/") if part not in ("", "."))
    plain = len(found) > 1 and found[0] in ROOMS and ".." not in found and not path.endswith("/")
    short = len(path.encode()) <= LONGEST_PATH and all(len(part.encode()) <= LONGEST_NAME for part in found)
    return found if plain and short else ()
