# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the templates of tasks become on each robot: read here, on the controller, and rendered with the robot's Ansible variables."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ...compile.site import Site, Unrendered
from ...job.declare.keys import Secret
from ...job.errors import printable
from ...job.model.brings.templates import Template
from ...transport import deadline
from ..sources import VAULT_HEADER, Unreadable, content

# Of one template. The slowest that makes sense takes milliseconds.
SECONDS = 5
# Bytes of a file.
LARGEST = 2**20
# By this name Jinja has the task's environment.
ENVIRONMENT = "env"


class Host(t.Protocol):
    """The Ansible variables of one robot. Few of them are asked for, and each is rendered by Ansible when it is."""

    def has(self, name: str) -> bool:
        """Whether there is such a variable."""

    def value(self, name: str) -> t.Any:
        """Its value, as plain data. Raises `Unrendered` where Ansible cannot tell it."""


class Compiled(t.Protocol):
    """A template without mistakes, in either dialect."""

    def render(self, environment: t.Mapping[str, str], host: Host, robot: str) -> str:
        """Raises `_Mistake`."""


class Renderer:
    """Renders templates; each text is parsed once for all robots.

    `directory` is that from which the paths of job files count; `decrypt` gives the text of a file that is encrypted completely. `hosts`
    gives the variables of a robot, or None where nothing is to be rendered for it: then only the syntax is looked at.
    """

    def __init__(self, directory: pathlib.Path, decrypt: t.Callable[[str], str], hosts: t.Callable[[str], Host | None]) -> None:
        self._directory, self._decrypt, self._hosts = directory, decrypt, hosts
        self._texts: dict[pathlib.Path, str] = {}
        self._compiled: dict[tuple[str, str, str], Compiled] = {}

    def __call__(self, site: Site, template: Template, environment: t.Mapping[str, str], /) -> str:
        key = "embeddedTmpl" if template.source_path is None else "sourcePath"
        text = self._text(site.job.path, template)
        host, robot = self._hosts(site.robot.name), site.robot.name
        try:
            with deadline.limit(SECONDS):
                compiled = self._parsed(text, template.left_delim, template.right_delim)
                return _whole(compiled.render(environment, host, robot)) if host else ""
        except _Mistake as mistake:
            called = "the template" if template.source_path is None else printable(template.source_path)
            where = f"line {mistake.line} of {called}" if mistake.line else called
            if isinstance(text, Secret) or (site.job.opaque and template.source_path is None):
                # Messages name words of the text.
                raise Unrendered(f"{where}: has a mistake, which is not shown because the text is secret", "", key) from None
            raise Unrendered(f"{where}: {mistake}", mistake.remedy, key) from None
        except Unrendered as error:
            raise Unrendered(str(error), error.remedy, key) from None
        except deadline.Elapsed:
            raise Unrendered(f"rendering takes more than {SECONDS} s", "simplify the template", key) from None

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
            # Where bytes are not UTF-8, Ansible writes halves of surrogate pairs, too.
            text = found.decode("utf-8", "surrogateescape")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Unreadable("is not UTF-8", "save it as UTF-8")
        return text

    def _parsed(self, text: str, left: str, right: str) -> Compiled:
        key = (text, left, right)
        if key not in self._compiled:
            self._compiled[key] = _compiled(*key)
        return self._compiled[key]


def _whole(text: str) -> str:
    """A text that can be written, and is not larger than a template may be."""
    if len(text) > LARGEST:
        raise _Mistake(0, f"renders to more than {LARGEST // 2**20} MiB")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _Mistake(0, "renders to half of a surrogate pair, which is no character")
    return text


class _Mistake(Exception):
    def __init__(self, line: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line, self.remedy = line, remedy


def _compiled(text: str, left: str, right: str) -> Compiled:
    """Most runs have no templates, and few have both dialects: what each needs is imported here."""
    from ...consul_template import dialect

    found = dialect.seen(text, left, right)
    if found.go and found.jinja:
        remedy = f"write all of it in one; leftDelim may give the actions of consul-template other signs than {left}"
        raise _Mistake(found.go, f"is consul-template's, and line {found.jinja} is Jinja's", remedy)
    if found.go:
        return _Go(text, left, right)
    return _Jinja(text, left, right) if any(sign in text for sign in (left, "{%", "{#")) else _Plain(text)


class _Plain:
    """A text without any action: Jinja would change the ends of its lines."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render(self, _environment: t.Mapping[str, str], _host: Host, _robot: str) -> str:
        return self._text


class _Go:
    def __init__(self, text: str, left: str, right: str) -> None:
        from ...consul_template import evaluator, parser
        from ...consul_template.faults import Fault

        self._fault, self._render = Fault, evaluator.render
        try:
            self._template = parser.parse(text, left, right)
        except Fault as fault:
            raise _Mistake(fault.line, str(fault), fault.remedy) from None

    def render(self, environment: t.Mapping[str, str], _host: Host, robot: str) -> str:
        try:
            return self._render(self._template, environment)
        except self._fault as fault:
            raise _Mistake(fault.line, f"{fault} (robot {robot})", fault.remedy) from None
        except (ValueError, RecursionError, MemoryError) as error:
            # Of Python itself: its text may repeat values.
            raise _Mistake(0, f"cannot be evaluated ({type(error).__name__}, robot {robot})") from None


class _Jinja:
    def __init__(self, text: str, left: str, right: str) -> None:
        from . import jinja

        self._wrong = jinja.Wrong
        try:
            self._template = jinja.Template(text, left, right)
        except jinja.Wrong as wrong:
            raise _Mistake(wrong.line, str(wrong), wrong.remedy) from None

    def render(self, environment: t.Mapping[str, str], host: Host, robot: str) -> str:
        names = [name for name in sorted(self._template.names) if name != ENVIRONMENT and host.has(name)]
        try:
            return self._template.render({ENVIRONMENT: dict(environment), **{name: host.value(name) for name in names}})
        except self._wrong as wrong:
            raise _Mistake(wrong.line, f"{wrong} (robot {robot})", wrong.remedy) from None
