# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that ingresses show to end users: read here, on the controller, and looked at before anything changes anywhere."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import typing as t

from ...job.declare.keys import Secret
from ...job.errors import JobErrors, Problem
from ...job.model.group import TaskGroup
from ...job.model.ingress import Ingress, Pair
from ...job.model.job import Job
from ...job.model.vocabulary import IngressTlsMode
from ..sources import VAULT_HEADER, Unreadable, content
from .wrong import Wrong

# Bytes of a file.
LARGEST = 2**20

T = t.TypeVar("T")


class Certificates:
    """Reads certificates. Paths of job files are relative to `directory`; `decrypt` gives the text of a file that is encrypted."""

    def __init__(self, directory: pathlib.Path, decrypt: t.Callable[[str], str], now: datetime.datetime) -> None:
        self._directory, self._decrypt, self._now = directory, decrypt, now

    def of(self, jobs: t.Sequence[Job]) -> tuple[list[Job], list[Problem]]:
        """The jobs with the certificates of their ingresses in them, and warnings. Raises `JobErrors`."""
        errors: list[Problem] = []
        warnings: list[Problem] = []
        read = [self._job(job, errors, warnings) for job in jobs]
        if errors:
            raise JobErrors(errors, warnings)
        return read, warnings

    def _job(self, job: Job, errors: list[Problem], warnings: list[Problem]) -> Job:
        groups: list[TaskGroup] = []
        for number, group in enumerate(job.task_groups):
            ingress = group.network.ingress if group.network and group.network.enabled else None
            if group.network and ingress and ingress.tls.mode is IngressTlsMode.FILES:
                path = f"taskGroups[{number}].network.ingress.tls"
                wrongs: list[Wrong] = []
                pair, doubts = self._pair(job, ingress, wrongs)
                errors += [job.problem(f"{path}.{wrong.key}", str(wrong), wrong.remedy) for wrong in wrongs]
                warnings += [job.problem(f"{path}.certFile", str(doubt), doubt.remedy) for doubt in doubts]
                with_pair = dataclasses.replace(ingress, tls=dataclasses.replace(ingress.tls, pair=pair))
                group = dataclasses.replace(group, network=dataclasses.replace(group.network, ingress=with_pair))
            groups.append(group)
        return dataclasses.replace(job, task_groups=tuple(groups))

    def _pair(self, job: Job, ingress: Ingress, wrongs: list[Wrong]) -> tuple[Pair | None, list[Wrong]]:
        """The certificates and the key, if nothing is wrong with either, and what one may doubt of them."""
        # Only few runs have any, and reading cryptography's modules takes a while.
        from . import pairs

        chain = _tried(wrongs, lambda: pairs.chain(self._text(job, "certFile", ingress.tls.cert_file or "")))
        key = _tried(wrongs, lambda: pairs.key(self._text(job, "keyFile", ingress.tls.key_file or "")))
        if chain is None or key is None:
            return None, []
        _tried(wrongs, lambda: pairs.must_belong_together(chain, key))
        _tried(wrongs, lambda: pairs.must_be_valid(chain, self._now))
        if wrongs:
            return None, []
        doubts = pairs.doubts(chain, self._now, [route.host for route in ingress.routes])
        return Pair(pairs.text(chain), Secret(pairs.text_of_key(key))), list(doubts)

    def _text(self, job: Job, key: str, name: str) -> bytes:
        path = (self._directory / os.path.expanduser(job.path)).parent / os.path.expanduser(name)
        try:
            found, _file = content(name, path, LARGEST, "name a file", "name a file with nothing else in it")
            return self._decrypt(str(path)).encode("utf-8", "surrogateescape") if found.startswith(VAULT_HEADER) else found
        except Unreadable as error:
            raise Wrong(key, f"{name}: {error}", error.remedy) from None


def _tried(wrongs: list[Wrong], look: t.Callable[[], T]) -> T | None:
    """What a look at the files has found; what is wrong is kept, so that all of it is told at once."""
    try:
        return look()
    except Wrong as wrong:
        wrongs.append(wrong)
        return None
