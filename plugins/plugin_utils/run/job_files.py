# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job files of a run, read with Ansible's vault secrets and Jinja and the variables that a job file may use."""

from __future__ import annotations

import os
import pathlib
import textwrap
import typing as t

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.utils.vars import load_extra_vars

from ..job.errors import JobErrors, Problem, quoted
from ..job.model.job import Job
from ..job.read import reader
from ..job.read.source import Options, Source
from .sources import WANTED, Readers, Unreadable, read

Variables = t.Mapping[str, t.Any]


class JobFiles(t.NamedTuple):
    """Reads job files with the vault secrets and variables of a run."""

    loader: DataLoader
    templar: Templar
    variables: Variables

    def read(self, job: t.Any) -> tuple[list[Job], list[str]]:
        """The jobs that the option `job` names, and warnings; no job where the option names no file. Raises `JobErrors`."""
        sources = self.sources(job)
        jobs, warnings = reader.load(sources, Options(decrypt=self._decrypt))
        return jobs, [str(warning) for warning in warnings]

    def sources(self, job: t.Any) -> list[Source]:
        """The texts of the files that the option `job` names. Raises `JobErrors`."""
        return read(_paths(job), Readers(self._decrypt_file, self._render), pathlib.Path.cwd())

    def _decrypt_file(self, path: str) -> str:
        try:
            return str(self.loader.get_text_file_contents(path))
        except AnsibleError as error:
            raise Unreadable(f"cannot be decrypted ({_reason(error)}); check the vault password") from None

    def _decrypt(self, text: str) -> str:
        try:
            return str(self.loader.load(f"!vault |\n{textwrap.indent(text, '  ')}"))
        except AnsibleError as error:
            raise ValueError(_reason(error)) from None

    def _render(self, text: str, path: str) -> str:
        """A template may use what is the same for every robot: extra variables, and `k8s4r_vars` of the inventory's group `all`."""
        everywhere = self.variables["hostvars"].raw_get("localhost").get("k8s4r_vars", {})
        visible = {"k8s4r_vars": everywhere, **load_extra_vars(self.loader)}
        templar = self.templar.copy_with_new_env(searchpath=[str(pathlib.Path(path).parent)], available_variables=visible)
        try:
            return str(templar.template(trust_as_template(text)))
        except AnsibleError as error:
            raise Unreadable(f"cannot be rendered: {_reason(error)}") from None


def _paths(job: t.Any) -> list[str]:
    """The paths that the option `job` names: one, several with commas between them, or a list."""
    if job is None:
        return []
    if isinstance(job, str):
        return [job] if "," not in job or os.path.exists(job) else [path.strip() for path in job.split(",") if path.strip()]
    given = list(job) if isinstance(job, (list, tuple)) else [job]
    wrong = [path for path in given if not isinstance(path, (str, os.PathLike))]
    if wrong:
        raise JobErrors(Problem("job", f"found {quoted(str(path))}, which is not a path", WANTED) for path in wrong)
    return [str(path) for path in given]


def _reason(error: AnsibleError) -> str:
    return str(error).strip().splitlines()[0]
