# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the robots' answers mean for the rest of the run, and how they are put into words."""

from __future__ import annotations

import typing as t

Answers = t.Mapping[str, t.Mapping[str, t.Any]]

# What comes after the robots' answers: a file of playbooks/tasks.
AGAIN, INSTALL_MISSING, IDENTITIES = "again", "install_missing", "identities"
SWITCH, SWITCH_WITH_IDENTITIES = "switch", "switch_with_identities"
SWITCH_WITH_FOLLOWERS, SWITCH_WITH_MOVES = "switch_with_followers", "switch_with_moves"
AGENT, SERVER = "spire_agent", "spire_server"
# What provisioning can install, by the names of its roles.
ROLES = (SERVER, AGENT, "envoy", "nftables", "dnsmasq")
# The answers of a robot that accepts a plan: see the module prepare. Of one that is unchanged, groups of other jobs may be told.
TELLS = "tells"
READY = ("staged", "recorded", "planned", TELLS)
# Those of a robot that has by then what it was to fetch.
FETCHED = ("staged", "recorded")
# What a run is done with on a robot.
SETTLED = ("committed", "unchanged", "recorded")
# What it comes to where something waits for other robots.
STAYS = "stays"
NO_SERVER = f"the jobs need identities, but the inventory group `{SERVER}` is empty: add the machine that is to run the SPIRE server"


def refusals(answers: Answers) -> str:
    """All errors of all robots as one text, empty where there are none; robots with the same error share a line."""
    robots: dict[str, list[str]] = {}
    for name, answer in sorted(answers.items()):
        if answer.get("status") in ("refused", "failed"):
            for error in answer.get("errors") or ["the robot gave no reason"]:
                robots.setdefault(error, []).append(name)
    if not robots:
        return ""
    lines = [f"{', '.join(names)}: {error}" for error, names in robots.items()]
    return "nothing was changed, because these robots refused the plan or could not check it:\n" + "\n".join(lines)


def fetched(answers: Answers) -> dict[str, t.Mapping[str, t.Any]]:
    """Of the answers, what robots have fetched and will not say again: of an address without a checksum, those bytes are fixed now."""
    of_robots = {name: answer.get("summary", ()) for name, answer in answers.items() if answer.get("status") in FETCHED}
    return {name: {"summary": [change for change in changes if change.get("fetched")]} for name, changes in of_robots.items()}


def still_missing(answers: Answers) -> str:
    """What is missing on robots although provisioning has run, as one text; empty if nothing is missing."""
    lacking = {name: ", ".join(whats) for name, answer in sorted(answers.items()) if (whats := missing(answer))}
    return "\n".join(f"{name}: still missing after provisioning: {whats}" for name, whats in lacking.items())


class Next(t.NamedTuple):
    """What comes next: a file of playbooks/tasks, and the machines for which it is included; for nothing, no machine.

    `without` are, for provisioning, the machines that lack what a role installs. `identities`: whether the SPIRE server is
    asked on the way.
    """

    file: str
    machines: list[str]
    without: dict[str, list[str]]
    identities: bool = False


def what_next(
    answers: Answers,
    servers: t.Sequence[str],
    check: bool,
    verify: bool,
    moving: bool,
    following: bool = False,
    destinations: t.Container[str] = (),
) -> Next:
    """What the robots' answers ask for; `servers` are the machines of the SPIRE server.

    A robot that is not as it was assumed to be may change where instances belong: then all are compiled again. Where agents
    are missing, there may be no server yet either. Check mode only names what is missing. `verify`: the identities are compared
    with the server even where nothing changes. `moving`: whether something moves from one robot to another, and `destinations` to which:
    these are asked again before it goes. `following`: whether callers of a service are to be told where it is.
    """
    if any(answer.get("status") in ("stale", "waiting") for answer in answers.values()):
        # Also the server's machines: what is included later on is only for those that are here.
        return Next(AGAIN, sorted({*answers, *servers}), {})
    lacking = {name: roles for name, answer in answers.items() if (roles := missing(answer))}
    ready = [name for name, answer in answers.items() if answer.get("status") in READY and name not in lacking]
    if lacking and not check:
        without = {role: [name for name, roles in lacking.items() if role in roles] for role in ROLES}
        without[SERVER] = list(servers) if without[AGENT] else []
        return Next(INSTALL_MISSING, sorted({*ready, *lacking, *without[SERVER]}), without)
    # A robot that needs no change may still lack an identity on the server.
    changed = [name for name in ready if answers[name]["steps"] or answers[name]["entries_differ"]]
    # What is to have no identity any more is asked before that is deleted, and with `verify` that may be any robot.
    machines = [name for name in answers if name not in lacking] if verify else changed
    # The same with turns and without: a run that moves nothing and tells nobody, as a check does, ends as one that does.
    asks = verify or any(answers[name]["entries_differ"] for name in changed)
    if changed and moving and not check:
        return Next(SWITCH_WITH_MOVES, [name for name in answers if name in machines or name in destinations], {}, asks)
    if changed and following and not check:
        return Next(SWITCH_WITH_FOLLOWERS, machines, {}, asks)
    if changed:
        return Next(SWITCH_WITH_IDENTITIES if asks else SWITCH, machines, {}, asks)
    return Next(IDENTITIES, machines if verify and not lacking else [], {}, asks)


def taken_over(answers: Answers, files: t.Mapping[str, str], placed: t.Iterable[str]) -> list[str]:
    """The jobs of which robots have groups, but none that is in the file that the run was given: a file of another job, which
    somebody copied and did not rename. `files` are the files by job (`namespace/job`), `placed` are the groups in them.
    """
    found = []
    wanted = set(placed)
    for job, file in files.items():
        held = {name: [group for group in answer.get("holds", ()) if group.startswith(f"{job}/")] for name, answer in answers.items()}
        groups = {group for each in held.values() for group in each}
        if groups and not groups & wanted:
            robots = ", ".join(sorted(name for name, each in held.items() if each))
            names = ", ".join(sorted(group.rpartition("/")[2] for group in groups))
            verb = "group {} goes" if len(groups) == 1 else "groups {} go"
            what = (
                f"{file} has none of the groups of job {job.removeprefix('default/')} that robots run: {verb.format(names)} from {robots}"
            )
            found.append(f"{what}. If it is meant as another job, give it another name")
    return found


def untold(lost: t.Iterable[str], robots: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Those on lost robots who are not in the run, and should hear where a service is. `robots` is what `compile` returned of them."""
    text = "{} was not reached: {} keeps the endpoints that it has; run again"
    return [text.format(name, group) for name in lost for group in robots.get(name, {}).get("tells", ())]


def was_reached(result: t.Any) -> bool:
    """Whether a robot that the play has lost is not off, but has failed: in `prepare`, or later, while it was provisioned.

    `result` is its last one of `prepare`, as Ansible has registered it.
    """
    return isinstance(result, t.Mapping) and bool(result.get("failed") or "status" in result) and not result.get("unreachable")


def missing(answer: t.Mapping[str, t.Any]) -> list[str]:
    """What provisioning has to install on a robot, by the names of its roles."""
    return sorted(set(answer.get("missing", ())))


class Wanted(t.NamedTuple):
    """The registration entries that the SPIRE server is to have for some robots of the run.

    `entries` are the registration entries. Others are deleted only below these `parents`, which are the robots' agents, and
    only with these parts in their SPIFFE ID (`scope`), which are the run's jobs.
    """

    entries: list[t.Mapping[str, t.Any]]
    scope: list[str]
    parents: list[str]


def registrations(robots: t.Mapping[str, t.Mapping[str, t.Any]], answers: Answers) -> Wanted:
    """The entries of the robots in `answers`; `robots` is what `compile` returned of them."""
    jobs = {f"/ns/{job['namespace']}/job/{job['name']}/" for name in answers for job in robots[name]["jobs"]}
    return Wanted(
        entries=[entry for answer in answers.values() for entry in answer.get("entries", ())],
        scope=sorted(jobs),
        parents=[robots[name]["agent"] for name in answers if robots[name]["agent"]],
    )


def failure(robot: str, answer: t.Mapping[str, t.Any]) -> str:
    """Why a switch did not succeed, with what the robot reported."""
    reached = "; ".join(_reached(answer))
    what = {
        "rolled-back": f"the switch failed and was rolled back; {reached or 'there was no earlier release to return to'}",
        "refused": "the robot refused to switch",
        "failed": f"the switch failed{'; ' if reached else ''}{reached}",
    }.get(answer["status"], f"the switch ended with the unexpected status {answer['status']!r}")
    return "\n".join([f"{robot}: {what}", *(str(error) for error in answer.get("errors", ()))])


def _reached(answer: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Where each group is that ended well, in words; nothing if all have gone, and had not been there before."""
    restored, undone, committed = (", ".join(map(str, answer.get(name, ()))) for name in ("restored", "undone", "committed"))
    if restored:
        yield f"back on the last good release: {restored}"
    if undone and (restored or committed):
        yield f"gone again, because there was no earlier release: {undone}"
    if committed:
        yield f"deployed as this run wants it: {committed}"


def notices(robot: str, answer: t.Mapping[str, t.Any]) -> list[str]:
    """Warnings about a robot on which the run succeeded."""
    return [f"{robot}: {notice}; for details, run k8s4r.robot.status" for notice in answer.get("notices", ())]


def success(robot: str, answer: t.Mapping[str, t.Any]) -> str:
    """One line on what a switch did, for -v."""
    states = (answer.get("units") or {}).values()
    done = sum(state == "done" for state in states)
    changes = len(answer.get("changes") or ())
    told = [f"{changes} change{'' if changes == 1 else 's'}"]
    told += [f"units: {len(states) - done} active, {done} done"] if states else []
    return f"{robot}: {', '.join(told)}"
