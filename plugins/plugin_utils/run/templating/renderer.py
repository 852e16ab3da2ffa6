# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the templates of tasks become on each robot: read here, on the controller, and rendered with the robot's Ansible variables."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ...compile.site.rendering import Unrendered
from ...compile.site.site import Site
from ...home import key
from ...home.digests import Digests
from ...job.declare.keys import Secret
from ...job.errors import printable
from ...job.model.brings.templates import Template
from ...job.model.vocabulary import Provider
from ...transport import deadline
from ..sources import VAULT_HEADER, Unreadable, content
from . import dialects

# Of one template. The slowest that makes sense takes milliseconds.
SECONDS = 5
# Bytes of a file.
LARGEST = 2**20


class Renderer:
    """Renders templates; each text is parsed once for all robots.

    The paths of job files are relative to `directory`. `decrypt` gives the text of a file that is encrypted as a whole. `hosts` gives the
    variables of a robot, or None where nothing is to be rendered for it: then only the syntax is checked.
    """

    def __init__(self, directory: pathlib.Path, decrypt: t.Callable[[str], str], hosts: t.Callable[[str], dialects.Host | None]) -> None:
        self._directory, self._decrypt, self._hosts = directory, decrypt, hosts
        self._texts: dict[pathlib.Path, str] = {}
        self._compiled: dict[tuple[str, str, str, Provider | None], dialects.Compiled] = {}

    def __call__(self, site: Site, template: Template, environment: t.Mapping[str, str], services: dialects.Services, /) -> str:
        written = "embeddedTmpl" if template.source_path is None else "sourcePath"
        text = self._text(site.job.path, template)
        host = self._hosts(site.robot.name)
        try:
            with deadline.limit(SECONDS):
                compiled = self._parsed(text, template.left_delim, template.right_delim, template.provider)
                return _whole(compiled.render(environment, host, services)) if host else ""
        except dialects.Mistake as mistake:
            called = "the template" if template.source_path is None else printable(template.source_path)
            if isinstance(text, Secret) or (site.job.opaque and template.source_path is None):
                # Messages repeat words of the text.
                hidden = "has a mistake, which is not shown because the text is secret"
                raise Unrendered(f"{_where(mistake, called)}: {hidden}", "", written) from None
            raise _unrendered(mistake, called, written) from None
        except Unrendered as error:
            raise Unrendered(str(error), error.remedy, written, error.depends) from None
        except deadline.Elapsed:
            raise Unrendered(f"rendering takes more than {SECONDS} s", "simplify the template", written) from None

    def digest(self, site: Site, name: str, /) -> str:
        path = (self._directory / os.path.expanduser(site.job.path)).parent / name
        try:
            return Digests(key.home()).of(path)
        except ValueError as error:
            raise Unrendered(f"{printable(name)} {error}", "name a file that docker save wrote") from None
        except OSError as error:
            raise Unrendered(f"{printable(name)} cannot be read: {error.strerror}", "its path is relative to the job file") from None

    def _text(self, job: str, template: Template) -> str:
        if template.source_path is None:
            return template.embedded_tmpl or ""
        path = (self._directory / os.path.expanduser(job)).parent / template.source_path
        if path not in self._texts:
            try:
                self._texts[path] = self._read(template.source_path, path)
            except Unreadable as error:
                raise Unrendered(str(error), error.remedy, "sourcePath") from None
        return self._texts[path]

    def _read(self, name: str, path: pathlib.Path) -> str:
        found, _file = content(name, path, LARGEST, "name a file", "make it smaller, or fetch what is large as an artifact")
        if found.startswith(VAULT_HEADER):
            text: str = Secret(self._decrypt(str(path)))
        else:
            # As Ansible decodes what it decrypts: bytes that are not UTF-8 become surrogates.
            text = found.decode("utf-8", "surrogateescape")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Unreadable("is not UTF-8", "save it as UTF-8")
        return text

    def _parsed(self, text: str, left: str, right: str, provider: Provider | None) -> dialects.Compiled:
        key = (text, left, right, provider)
        if key not in self._compiled:
            self._compiled[key] = dialects.compiled(*key)
        return self._compiled[key]


def _whole(text: str) -> str:
    """A text that can be written, and is not larger than a template may be."""
    if len(text) > LARGEST:
        raise dialects.Mistake(0, f"renders to more than {LARGEST // 2**20} MiB", depends=True)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise dialects.Mistake(0, "renders to half of a surrogate pair, which is not a character", depends=True)
    return text


def _where(mistake: dialects.Mistake, called: str) -> str:
    return f"line {mistake.line} of {called}" if mistake.line else called


def _unrendered(mistake: dialects.Mistake, called: str, key: str) -> Unrendered:
    also = [_unrendered(each, called, key) for each in mistake.also]
    return Unrendered(f"{_where(mistake, called)}: {mistake}", mistake.remedy, key, mistake.depends, also)
