# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job files of a run, read with Ansible's vault secrets and Jinja and the variables that a job file may use."""

from __future__ import annotations

import collections.abc as c
import contextlib
import datetime
import functools
import os
import pathlib
import textwrap
import typing as t

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.utils.vars import load_extra_vars

from ...compile.site.rendering import Unrendered
from ...fleet.catalogue import CONTROLLER, VARS
from ...job.errors import JobErrors, Problem, quoted
from ...job.model.job import Job
from ...job.read import reader
from ...job.read.objects import PASSWORD
from ...job.read.source import Options, Source
from ..certificates.reading import Certificates
from ..sources import WANTED, Readers, Unreadable, read
from ..templating import memory
from ..templating.renderer import Renderer

Variables = t.Mapping[str, t.Any]
COMMENT = "{# begins a comment in a template; write {{ '{#' }} where the text is meant"


class JobFiles(t.NamedTuple):
    """Reads job files with the vault secrets and variables of a run.

    Without `lookups`, a template that may run programs on the controller is refused rather than rendered. `deployed`: jobs that robots
    are known to have (`Options`).
    """

    loader: DataLoader
    templar: Templar
    variables: Variables
    lookups: bool = True
    deployed: c.Callable[[], c.Container[tuple[str, str]]] = tuple

    def read(self, job: t.Any) -> tuple[list[Job], list[str]]:
        """The jobs that the option `job` names, and warnings; no job where the option names no file. Raises `JobErrors`."""
        sources = self.sources(job)
        jobs, warnings = reader.load(sources, Options(self._decrypt if self._has_password() else None, self.deployed))
        return jobs, [str(warning) for warning in warnings]

    def sources(self, job: t.Any) -> list[Source]:
        """The texts of the files that the option `job` names. Raises `JobErrors`."""
        # A value may ask a server, and a directory may have many templates.
        everywhere = functools.cache(self._everywhere)
        readers = Readers(self._decrypt_file, lambda text, path: self._render(text, path, everywhere))
        return read(_paths(job), readers, pathlib.Path.cwd())

    def with_certificates(self, jobs: t.Sequence[Job]) -> tuple[list[Job], list[str]]:
        """The jobs with the certificates of their ingresses, and warnings. Raises `JobErrors`."""
        reader = Certificates(pathlib.Path.cwd(), self._decrypt_file, datetime.datetime.now(datetime.timezone.utc))
        found, warnings = reader.of(jobs)
        return found, [str(warning) for warning in warnings]

    def renderer(self, reached: t.Container[str]) -> Renderer:
        """What renders the templates of tasks, for the robots that are reached; of the others' only the syntax is looked at."""
        hosts = self.variables["hostvars"]

        def host(name: str) -> HostVariables | None:
            return HostVariables(hosts.raw_get(name), self.templar) if name in reached else None

        return Renderer(pathlib.Path.cwd(), self._decrypt_file, functools.lru_cache(maxsize=1)(host))

    def _decrypt_file(self, path: str) -> str:
        try:
            return str(self.loader.get_text_file_contents(path))
        except AnsibleError as error:
            if not self._has_password():
                raise Unreadable("is encrypted, but no vault password was given", PASSWORD) from None
            raise Unreadable(f"cannot be decrypted ({reason(error).rstrip('.')})", "check the vault password") from None

    def _decrypt(self, text: str) -> str:
        try:
            return str(self.loader.load(f"!vault |\n{textwrap.indent(text, '  ')}"))
        except AnsibleError as error:
            raise ValueError(reason(error).rstrip(".")) from None

    def _has_password(self) -> bool:
        # Ansible has no other way to ask.
        return bool(self.loader._vault.secrets)

    def _everywhere(self) -> dict[str, t.Any]:
        """Extra variables, and `k8s4r_vars` of the inventory's group `all`. Its templates may use all that `all` has, which a job file may
        not. Raises `Unreadable`.
        """
        raw, extra = self.variables["hostvars"].raw_get(CONTROLLER), load_extra_vars(self.loader)
        templar = self.templar.copy_with_new_env(available_variables=raw)
        found = extra.get(VARS, raw.get(VARS, {}))
        try:
            found = templar.template(found) if isinstance(found, str) else found
        except AnsibleError as error:
            raise Unreadable(f"cannot be rendered: {VARS} of the inventory's group `all`: {reason(error)}") from None
        if not isinstance(found, t.Mapping):
            raise Unreadable(f"cannot be rendered: {VARS} of the inventory's group `all` is not a mapping")
        rendered = {}
        for key, value in found.items():
            # What cannot be rendered is left to those who use it, as is what need not be: not each has the password of a vault.
            rendered[key] = value
            with contextlib.suppress(AnsibleError):
                rendered[key] = templar.template(value) if templar.is_template(value) else value
        return {**extra, VARS: rendered}

    def _render(self, text: str, path: str, everywhere: c.Callable[[], dict[str, t.Any]]) -> str:
        """A template may use what is the same for every robot, `everywhere`."""
        # Few runs have templates, and reading Jinja's own modules takes a while.
        from . import templates

        directory = pathlib.Path(path).parent
        if not self.lookups and templates.may_use_lookups(text, directory):
            wrong = templates.mistake(text)
            if wrong:
                remedy = COMMENT if "comment tag" in str(wrong.message) else ""
                raise Unreadable(f"is not a template that can be checked: {wrong.message}", remedy, wrong.lineno)
            raise Unreadable("uses lookups, which may run programs on this machine", "add -e lookups=true if you trust the file")
        templar = self.templar.copy_with_new_env(searchpath=[str(directory)], available_variables=everywhere())
        try:
            # Whoever may have programs run may have them take what they please; and they would have the limit, too.
            with contextlib.nullcontext() if self.lookups else memory.limit():
                return str(templar.template(trust_as_template(text)))
        except AnsibleError as error:
            if isinstance(error.__cause__, MemoryError):
                raise Unreadable(f"cannot be rendered: {memory.SAID}", memory.REMEDY) from None
            remedy = COMMENT if "comment tag" in str(error) else ""
            raise Unreadable(f"cannot be rendered: {reason(error)}", remedy, templates.line_of(text, error)) from None


class HostVariables(t.NamedTuple):
    """The Ansible variables of a robot: those of the inventory, facts that are known, and extra variables."""

    raw: Variables
    templar: Templar

    def has(self, name: str) -> bool:
        return name in self.raw

    def value(self, name: str) -> t.Any:
        try:
            return plain(self.templar.copy_with_new_env(available_variables=dict(self.raw)).template(self.raw[name]))
        except AnsibleError:
            # Without Ansible's reason, which may repeat a value.
            remedy = f"to see why: ansible -m debug -a var={name} <robot>"
            raise Unrendered(f"the variable {name} cannot be evaluated by Ansible", remedy, depends=True) from None


def plain(value: t.Any) -> t.Any:
    """Data without what Ansible knows of it beside its value."""
    if isinstance(value, t.Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return [plain(member) for member in value] if isinstance(value, (list, tuple, set)) else str(value)


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


def reason(error: AnsibleError) -> str:
    """What Ansible says is wrong, in one line."""
    return str(error).strip().splitlines()[0]
