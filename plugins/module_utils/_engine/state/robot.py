# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The robot as the engine knows it: its key, ledger, store and the journal of a switch."""

from __future__ import annotations

import fcntl
import os
import time

from ..plan import RUNTIME, STATE
from ..system import files
from . import digest, formats
from .ledger import Ledger
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .journal import Journal
    from .manifest import Manifest


class Robot:
    """``state`` and ``runtime`` are directories: what is there for good, and what is gone after a boot."""

    def __init__(self, state: str = STATE, runtime: str = RUNTIME) -> None:
        self.began = time.monotonic()
        # What `make` put right, for whoever deploys.
        self.mended: list[str] = []
        self.state = state
        self.runtime = runtime
        self.ledger = Ledger(state + "/ledger")
        self.load_key()

    def load_key(self) -> None:
        self.digest = digest.load(self.state + "/key")
        self.store = Store(self.state + "/store", self.digest)

    def make(self) -> None:
        """Make the engine's own directories and key; the first thing on this robot that is ours."""
        from ..system import reserve

        os.makedirs(self.state, mode=0o755, exist_ok=True)
        os.makedirs(self.runtime, mode=0o755, exist_ok=True)
        for name in ("engine", "ledger", "store", "releases"):
            os.makedirs(f"{self.state}/{name}", mode=0o700, exist_ok=True)
        for name in ("requests", "results"):
            os.makedirs(f"{self.runtime}/{name}", mode=0o700, exist_ok=True)
        # One that only root can open: whoever could hold its lock would keep every run from this robot.
        alone = os.open(f"{self.state}/ledger", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Two first runs at once would take each other's half-written key away.
            fcntl.flock(alone, fcntl.LOCK_EX)
            ledger = self.ledger.directory
            reserve.fill(self.state + "/reserve", ledger=max([files.size(f"{ledger}/{name}") for name in files.names(ledger)], default=0))
            reserve.fill(self.runtime + "/reserve", reserve.SIZES_IN_MEMORY)
            self.mended += digest.create(self.state + "/key")
        finally:
            os.close(alone)
        self.load_key()

    def manifest_path(self, release: str) -> str:
        """The manifest of a staged release."""
        return f"{self.state}/releases/{release}.json"

    def request_path(self, release: str) -> str:
        """What a release's work was asked for; in memory, for it may hold the plan, and with it secrets."""
        return f"{self.runtime}/requests/{release}.json"

    def has_requests(self) -> bool:
        """Whether anything is being worked on, or was left behind."""
        return bool(files.names(self.runtime + "/requests"))

    def result_path(self, release: str) -> str:
        """How far a release's work is, and what came of it; in memory, for it is written at each step, and must be on a full disk."""
        return f"{self.runtime}/results/{release}.json"

    @property
    def journal_path(self) -> str:
        """The switch that is under way, or was when the robot or the engine died."""
        return self.state + "/pending"

    def journal(self) -> Journal | None:
        """None: no switch is under way."""
        found: Journal | None = formats.load_either(self.journal_path, "journal")[0]
        return found

    def interrupted(self) -> bool:
        """Whether there is a journal, whatever is in it."""
        return os.path.exists(self.journal_path) or os.path.exists(self.journal_path + files.COPY)

    def write_journal(self, journal: Journal) -> None:
        formats.save_twice(self.journal_path, journal)

    def end_journal(self) -> None:
        """The switch has come to its end. One that is stuck behind it is the next to be rolled back."""
        journal = self.journal()
        if journal and journal.get("behind"):
            first, *others = journal["behind"]
            self.write_journal({**first, "behind": others})
        else:
            formats.remove_both(self.journal_path)

    def manifest(self, release: str) -> Manifest | None:
        """None: the release is not staged, or not any more."""
        found: Manifest | None = formats.load_either(self.manifest_path(release), "manifest")[0]
        return found

    def keep_manifest(self, manifest: Manifest) -> None:
        formats.save_twice(self.manifest_path(manifest["release"]), manifest)

    def forget_manifest(self, release: str) -> None:
        formats.remove_both(self.manifest_path(release))

    def releases(self) -> list[str]:
        """The staged releases."""
        names = files.names(f"{self.state}/releases")
        return sorted({name.partition(".json")[0] for name in names if name.endswith((".json", ".json" + files.COPY))})
