# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot as the engine knows it: its key, ledger, store and the journal of a switch."""

from __future__ import annotations

import os
import time

from ..plan import RUNTIME, STATE
from . import digest, jsonfile
from .ledger import Ledger
from .store import Store


class Robot:
    def __init__(self, state=STATE, runtime=RUNTIME):
        self.began = time.monotonic()
        self.state = state
        self.runtime = runtime
        self.ledger = Ledger(state + "/ledger")
        self.load_key()

    def load_key(self):
        self.digest = digest.load(self.state + "/key")
        self.store = Store(self.state + "/store", self.digest)

    def make(self):
        """Make the engine's own directories and key; the first thing on this robot that is ours."""
        os.makedirs(self.state, mode=0o755, exist_ok=True)
        os.makedirs(self.runtime, mode=0o755, exist_ok=True)
        for name in ("engine", "ledger", "store", "releases", "results"):
            os.makedirs(f"{self.state}/{name}", mode=0o700, exist_ok=True)
        os.makedirs(self.runtime + "/requests", mode=0o700, exist_ok=True)
        digest.create(self.state + "/key")
        self.load_key()

    def manifest_path(self, release):
        """The manifest of a staged release."""
        return f"{self.state}/releases/{release}.json"

    def request_path(self, release):
        """What a release's work was asked for; in memory, for it may hold the plan, and with it secrets."""
        return f"{self.runtime}/requests/{release}.json"

    def result_path(self, release):
        """How far a release's work is, and what came of it."""
        return f"{self.state}/results/{release}.json"

    @property
    def journal_path(self):
        """The switch that is under way, or was when the robot or the engine died."""
        return self.state + "/pending"

    def journal(self):
        return jsonfile.load(self.journal_path)

    def write_journal(self, journal):
        jsonfile.save(self.journal_path, journal)

    def end_journal(self):
        jsonfile.remove(self.journal_path)
