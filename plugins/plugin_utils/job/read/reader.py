# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files as :class:`Job` objects, or every error of all of them at once.

Pure: texts come in with their file names, nothing is opened, and the one secret-bearing operation, decryption of
``!vault``, is a callable that the caller hands in.
"""

from __future__ import annotations

import collections.abc as c

from ..errors import JobErrors, Mistake, Problem, printable, quoted
from ..model.job import Job
from ..rules import names
from . import nodes
from .document import Document
from .source import Options, Source

DEFAULTS = Options()


def load(sources: c.Iterable[Source], options: Options = DEFAULTS) -> tuple[list[Job], list[Problem]]:
    """Every job of the sources in order, and warnings. Raises :class:`JobErrors` with all errors of all sources."""
    jobs: list[Job] = []
    errors: list[Problem] = []
    warnings: list[Problem] = []
    for source in sources:
        found = 0
        try:
            for node in nodes.compose(source.text):
                found += 1
                document = Document(source, options)
                job = document.read(node)
                errors += document.errors
                warnings += document.warnings
                if job is not None:
                    jobs.append(job)
        except nodes.NotYaml as mistake:
            errors.append(source.problem(mistake))
        else:
            if not found:
                errors.append(source.problem(Mistake("contains no job", "add one, or leave the file out")))
    errors += _twice(jobs)
    unknown, doubtful = names.of_other_jobs(jobs, {error.file for error in errors}, options.deployed)
    errors += unknown
    warnings += doubtful
    if errors:
        raise JobErrors(errors, warnings)
    return jobs, warnings


def _twice(jobs: list[Job]) -> c.Iterator[Problem]:
    first: dict[tuple[str, str], Job] = {}
    for job in jobs:
        other = first.setdefault((job.namespace, job.name), job)
        if other is not job:
            name = f"job {quoted(job.name)} in namespace {quoted(job.namespace)}"
            message = f"{name} is already defined in {printable(other.path)}, line {other.line}"
            yield job.problem("", message, "rename one of them")._replace(path="")
