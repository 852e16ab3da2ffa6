# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The languages in which a template may be written: each is compiled once, and rendered for every robot.

Most runs have no templates, and few use both languages, so what each of them needs is imported when it is met.
"""

from __future__ import annotations

import typing as t

from ...compile.site.rendering import InConsul, LookedUp, Unfound, Watched
from ...job.model.vocabulary import Provider
from . import memory

# Looks services up by name; raises `Unfound`.
Services = t.Callable[[str], LookedUp]


class Mistake(Exception):
    """What is wrong with a template, without any value; `line` is 0 where it is not known.

    `depends`: whether it is so for this robot, and need not be for others. `also`: what else is wrong.
    """

    def __init__(self, line: int, message: str, remedy: str = "", depends: bool = False, also: t.Iterable[Mistake] = ()) -> None:
        super().__init__(message)
        self.line, self.remedy, self.depends, self.also = line, remedy, depends, tuple(also)


class Host(t.Protocol):
    """The Ansible variables of one robot. Few of them are asked for, and Ansible renders each one only then."""

    def has(self, name: str) -> bool:
        """Whether there is such a variable."""

    def value(self, name: str) -> t.Any:
        """Its value, as plain data. Raises `Unrendered` where Ansible cannot tell it."""


class Compiled(t.Protocol):
    """A template whose syntax is right, in either language."""

    def render(self, environment: t.Mapping[str, str], host: Host, services: Services) -> str:
        """Raises `Mistake`."""


def compiled(text: str, left: str, right: str, provider: Provider | None = None) -> Compiled:
    """Raises `Mistake`, also for a text that mixes the languages. `left` and `right` are its delimiters, and `provider` is who is asked."""
    from ...consul_template import dialect

    seen = dialect.seen(text, left, right)
    if seen.go and seen.jinja:
        remedy = f"write all of it in one of them, or choose other delimiters than {left} for consul-template, with leftDelim"
        raise Mistake(seen.go, f"is consul-template's, and line {seen.jinja} is Jinja's", remedy)
    if seen.go:
        return _ConsulTemplate(text, left, right, provider)
    if provider is Provider.CONSUL:
        raise Mistake(0, "has `provider`, but nothing in it is written for consul-template", "remove `provider`")
    return _Jinja(text, left, right) if any(sign in text for sign in (left, "{%", "{#")) else _Plain(text)


class _Plain:
    """A text without any action. Jinja would change its line breaks."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render(self, _environment: t.Mapping[str, str], _host: Host, _services: Services) -> str:
        return self._text


class _ConsulTemplate:
    def __init__(self, text: str, left: str, right: str, provider: Provider | None) -> None:
        from ...consul_template import evaluator, parser
        from ...consul_template.faults import Fault, Refusal
        from ...consul_template.functions import OF_CONSUL

        self._fault, self._refusal, self._render = Fault, Refusal, evaluator.render
        self._text, self._provider = text, provider
        try:
            words = parser.words(text, left, right)
            self._watched = provider is Provider.CONSUL or (provider is None and not OF_CONSUL.isdisjoint(words))
            self._template = parser.parse(text, left, right, self._watched)
        except Fault as fault:
            also = [Mistake(each.line, str(each), each.remedy) for each in fault.also]
            raise Mistake(fault.line, str(fault), fault.remedy, also=also) from None
        self._native = "nomadService" in words

    def render(self, environment: t.Mapping[str, str], _host: Host, services: Services) -> str:
        watched = native = False

        def instances(name: str) -> t.Sequence[t.Mapping[str, t.Any]]:
            nonlocal watched, native
            try:
                found = services(name).instances
            except InConsul as elsewhere:
                if self._provider is None and not self._native:
                    watched = True
                    return ()
                raise self._refusal(str(elsewhere), elsewhere.remedy) from None
            except Unfound as unfound:
                raise self._refusal(str(unfound), unfound.remedy) from None
            native = True
            return found

        if self._watched:
            return Watched(self._text)
        try:
            with memory.limit():
                rendered = self._render(self._template, environment, instances)
            if not watched:
                return rendered
            if native:
                raise Mistake(0, "looks up both services of this run and services in Consul", "write a template for each of the two")
            return Watched(self._text)
        except self._fault as fault:
            if watched and not native:
                # What it asks of services that are not known here says nothing about it.
                return Watched(self._text)
            also = [Mistake(each.line, str(each), each.remedy, depends=True) for each in fault.also]
            raise Mistake(fault.line, str(fault), fault.remedy, depends=True, also=also) from None
        except MemoryError:
            raise Mistake(0, memory.SAID, memory.REMEDY, depends=True) from None
        except (ValueError, RecursionError) as error:
            # Python's own errors: their texts may repeat values.
            raise Mistake(0, f"cannot be evaluated ({type(error).__name__})", depends=True) from None


class _Jinja:
    def __init__(self, text: str, left: str, right: str) -> None:
        from . import jinja

        self._wrong, self._environment = jinja.Wrong, jinja.ENVIRONMENT
        try:
            with memory.limit():
                self._template = jinja.Template(text, left, right)
        except jinja.Wrong as wrong:
            raise Mistake(wrong.line, str(wrong), wrong.remedy) from None

    def render(self, environment: t.Mapping[str, str], host: Host, _services: Services) -> str:
        names = [name for name in sorted(self._template.names) if name != self._environment and host.has(name)]
        # Before there is a limit: for them, Ansible may load libraries and start programs.
        values = {name: host.value(name) for name in names}
        try:
            with memory.limit():
                return self._template.render({self._environment: dict(environment), **values})
        except self._wrong as wrong:
            also = [Mistake(each.line, str(each), each.remedy, depends=True) for each in wrong.also]
            raise Mistake(wrong.line, str(wrong), wrong.remedy, depends=True, also=also) from None
