# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spire-server command, as far as registration entries go: JSON in, JSON out, every failure said in words."""

from __future__ import annotations

import json
import os

from . import entries


class ServerError(Exception):
    """The server cannot be asked, or refused; the text is for the user."""


class Server:
    """One SPIRE server, by its program and its administrative socket."""

    def __init__(self, run, program, socket):
        self._run = run
        self._program = program
        self._socket = socket
        if not os.access(program, os.X_OK):
            raise ServerError(f"there is no {program} on this machine: is it the one of the SPIRE server, and provisioned?")

    def list(self):
        """Return every entry, in the common form."""
        return [entries.of_server(entry) for entry in self._call("show")["entries"]]

    def create(self, wanted):
        self._write("create", wanted)

    def update(self, wanted):
        self._write("update", wanted)

    def delete(self, ids):
        for batch in entries.batches(ids):
            answer = self._call("delete", "-file", "-", data={"ids": batch})
            # Already gone (gRPC's NOT_FOUND) is what was wanted.
            self._judge("delete", entries.refusals(answer, batch, forgiven=(5,)))

    def _write(self, verb, wanted):
        for batch in entries.batches(wanted):
            answer = self._call(verb, "-data", "-", data={"entries": [entries.for_server(entry) for entry in batch]})
            self._judge(verb, entries.refusals(answer, [entry["entry_id"] for entry in batch]))

    def _judge(self, verb, refused):
        if refused:
            raise ServerError(f"the SPIRE server refused to {verb} {len(refused)} entries: {'; '.join(refused[:20])}")

    def _call(self, verb, *arguments, data=None):
        command = [self._program, "entry", verb, "-socketPath", self._socket, "-output", "json", *arguments]
        rc, out, err = self._run(command, data=None if data is None else json.dumps(data))
        if rc != 0:
            words = (err.strip() or out.strip() or f"exit status {rc}").splitlines()[-1]
            raise ServerError(f"the SPIRE server does not answer at {self._socket}: {words}")
        try:
            return json.loads(out)
        except ValueError:
            raise ServerError(f"{' '.join(command[:3])} printed no JSON; SPIRE 1.8 or later is needed") from None
