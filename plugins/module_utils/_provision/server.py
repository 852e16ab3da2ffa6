# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the spire-server command that handles registration entries. It reads and prints JSON."""

from __future__ import annotations

import json
import typing as t

from . import entries

if t.TYPE_CHECKING:
    from .module import Run


class ServerError(Exception):
    """The server does not answer, or has refused something. The text is for the user."""


class Server:
    """One SPIRE server, reached through its program and its administrative socket.

    ``run`` is AnsibleModule.run_command, or a function with the same signature, which may run commands on another machine. ``machine`` is
    what people call that one, where it is not the one that an error is printed of.
    """

    def __init__(self, run: Run, program: str, socket: str, machine: str = "") -> None:
        self._run = run
        self._program = program
        self._socket = socket
        self._called = f"the SPIRE server on {machine}" if machine else "the SPIRE server"

    @property
    def listing(self) -> t.List[str]:
        """The command that lists every entry, for who runs it at an opportunity of his own."""
        return self._command("show")

    def listed(self, rc: int, out: str, err: str) -> t.List[entries.Entry]:
        """Return every entry, as the command ``listing`` has ended."""
        try:
            return [entries.of_server(entry) for entry in self._read(rc, out, err)["entries"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ServerError(f"{self._program} lists entries in a form that is not known; SPIRE 1.8 or later is needed") from None

    def list(self) -> t.List[entries.Entry]:
        """Return every entry."""
        return self.listed(*self._run(self.listing))

    def create(self, wanted: t.Sequence[entries.Entry]) -> None:
        """Create entries. One that is there as it is wanted is no error: a command whose answer was lost is sent again."""
        for batch in entries.batches(wanted):
            answer, ids = self._written("create", batch)
            refused = entries.refusals(answer, ids)
            if refused and not entries.refusals(answer, ids, accepted=(entries.ALREADY_EXISTS,)):
                there = {entry["entry_id"]: entry for entry in self.list()}
                refused = [] if all(there.get(entry["entry_id"]) == entry for entry in batch) else refused
            self._check("create", refused)

    def update(self, wanted: t.Sequence[entries.Entry]) -> None:
        """Replace the entries that have the same ids."""
        for batch in entries.batches(wanted):
            self._check("update", entries.refusals(*self._written("update", batch)))

    def delete(self, ids: t.Sequence[str]) -> None:
        """Delete entries by their ids. One that does not exist any more is no error."""
        for batch in entries.batches(ids):
            answer = self._call("delete", "-file", "-", data={"ids": batch})
            self._check("delete", entries.refusals(answer, batch, accepted=(entries.NOT_FOUND,)))

    def _written(self, verb: str, batch: t.Sequence[entries.Entry]) -> t.Tuple[entries.Document, t.List[str]]:
        """What the server answers for a batch, and the ids of its entries."""
        answer = self._call(verb, "-data", "-", data={"entries": [entries.for_server(entry) for entry in batch]})
        return answer, [entry["entry_id"] for entry in batch]

    def _check(self, verb: str, refused: t.Sequence[str]) -> None:
        if refused:
            what = "1 entry" if len(refused) == 1 else f"{len(refused)} entries"
            raise ServerError(f"{self._called} refused to {verb} {what}: {'; '.join(refused[:20])}")

    def _command(self, verb: str, *arguments: str) -> t.List[str]:
        return [self._program, "entry", verb, "-socketPath", self._socket, "-output", "json", *arguments]

    def _call(self, verb: str, *arguments: str, data: entries.Document) -> entries.Document:
        return self._read(*self._run(self._command(verb, *arguments), data=json.dumps(data)))

    def _read(self, rc: int, out: str, err: str) -> entries.Document:
        if rc != 0:
            words = (err.strip() or out.strip() or f"exit status {rc}").splitlines()[-1]
            raise ServerError(f"{self._called} does not answer at {self._socket}: {words}; systemctl status spire-server there says more")
        try:
            answer: entries.Document = json.loads(out)
        except ValueError:
            raise ServerError(f"{self._program} entry did not print JSON; SPIRE 1.8 or later is needed") from None
        return answer
