# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One document of a job file, in either of its two forms, as a job."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import yaml

from ..declare.shape import by_name
from ..errors import Mistake, Problem, quoted, together
from ..model.job import Job
from ..model.vocabulary import NAME
from ..rules.job import checked
from . import nodes, texts
from .elsewhere import Above
from .objects import Objects

API_VERSION, KIND = "robot.k8s4r.io/v1alpha1", "Job"
DOCUMENT_KEYS = ("apiVersion", "kind", "metadata", "spec", "status")
# What a server writes into metadata, or what means nothing on a robot.
IGNORED_METADATA = (
    "labels", "annotations", "creationTimestamp", "deletionTimestamp", "finalizers", "generation", "managedFields",
    "ownerReferences", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
NAMED = ("name", "namespace")


class Document(Objects):
    """A short form, with the job's keys at the top, or a k8s4r document."""

    def read(self, node: yaml.Node) -> Job | None:
        """The job, or None when it has errors."""
        job = self._checked(node)
        self.errors, self.warnings = together(_once(self.errors)), together(_once(self.warnings))
        return None if self.errors else job

    def _checked(self, node: yaml.Node) -> Job | None:
        """What there is of the job; nothing where it cannot be read at all."""
        try:
            job = self.parse(node)
        except nodes.NotYaml as mistake:
            self.errors.append(self.source.problem(mistake))
            return None
        except RecursionError:
            self.error("", Mistake("an alias is used inside what it refers to", "write out what it refers to"))
            return None
        if job is None:
            return None
        result = checked(job, {problem.path for problem in self.errors} | self.meant)
        self.positions = dict(result.job.positions)
        self.errors += [self._problem(*finding) for finding in result.errors]
        if job.strict:
            # Until here, they are keys that have no effect.
            self.errors += self.warnings
            self.warnings = []
        self.warnings += [self._problem(*finding) for finding in result.warnings]
        return result.job

    def parse(self, node: yaml.Node) -> Job | None:
        """The job as its keys say, each checked by itself; wrong ones are noted and left out, or None."""
        self.positions[""] = nodes.position(node)
        entries = self._entries(node, "", "a job is a mapping with taskGroups")
        if entries is None:
            return None
        # A job's name is not required as other names are: the short form's default is the file's, the document's is metadata's.
        known = {**by_name(Job), "name": dataclasses.replace(by_name(Job)["name"], required=False)}
        if not any(key in entries for key in DOCUMENT_KEYS):
            values = self._values(known, node, "", entries)
            if "name" not in entries:
                values["name"] = self._stem()
            root = ""
        else:
            root = "spec."
            name, namespace, body = self._envelope(entries)
            if body is None:
                return None
            self._above.append(Above("metadata", {"namespace": known.pop("namespace")}, ["namespace"] if namespace else []))
            values = self._values(known, body, "spec")
            own = values.get("name")
            if name and own not in (None, name):
                meant = f"remove spec.name, or write {quoted(name)}"
                self.error("spec.name", Mistake("differs from metadata.name", "remove spec.name", value=quoted(own), value_remedy=meant))
            values.update({"name": name, "namespace": namespace or "default"})
        values.setdefault("name", "")
        opaque = self.source.rendered or self.source.vaulted
        return Job(**values, opaque=opaque, path=self.source.name, line=self.positions[""][0], root=root, positions=self.positions)

    def _stem(self) -> str:
        """A job's name by its file's, without .j2 and the ending before it."""
        stem = pathlib.PurePath(self.source.name.removesuffix(".j2")).stem
        if not re.fullmatch(NAME, stem):
            self.error("name", Mistake(f"is missing, and the file's name cannot replace it: found {texts.not_a_name(stem)}", "add name"))
        return stem

    def _envelope(self, entries: nodes.Entries) -> tuple[str, str, yaml.Node | None]:
        """Name, namespace and spec of a k8s4r document."""
        for key, (node, _value) in entries.items():
            if key not in DOCUMENT_KEYS:
                below = "metadata" if key in (*NAMED, *IGNORED_METADATA) else "spec" if key in by_name(Job) else ""
                self._unknown(key, node, "", DOCUMENT_KEYS, f"it belongs below {below}" if below else "")
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
            if key not in entries:
                self._missing(key, f"add {key}: {wanted}")
                continue
            value = entries[key][1]
            self.positions[key] = nodes.position(value)
            if not isinstance(value, yaml.ScalarNode) or value.value != wanted:
                self.error(key, Mistake(f"only {wanted} is supported", value=nodes.kind(value)))
                # What is of another kind has other keys: an error for each would not help.
                return "", "", None
        name = namespace = ""
        remedy = "metadata is a mapping with name and namespace"
        metadata = self._entries(entries["metadata"][1], "metadata", remedy) if "metadata" in entries else {}
        for key, (node, value) in (metadata or {}).items():
            if key in NAMED:
                text = self._one(by_name(Job)[key], value, f"metadata.{key}")
                name, namespace = (text or name, namespace) if key == "name" else (name, text or namespace)
            elif key not in IGNORED_METADATA:
                belongs = "it belongs below spec" if key in by_name(Job) else ""
                self._unknown(key, node, "metadata", (*NAMED, "labels", "annotations"), belongs)
        if metadata is not None and "name" not in metadata and "metadata" not in self.meant:
            self._missing("metadata.name", "required: the job's name")
        if "spec" not in entries:
            self._missing("spec", "required: the job's keys, such as taskGroups")
        return name, namespace, entries["spec"][1] if "spec" in entries else None

    def _missing(self, path: str, remedy: str) -> None:
        if path not in self.meant:
            self.error(path, Mistake("is missing", remedy))


def _once(problems: list[Problem]) -> list[Problem]:
    """What is wrong with one place of the file, once: aliases may read it many times, for as many paths."""
    return list(
        {(each.line, each.column, each.path.rpartition(".")[2], each.message, each.remedy): each for each in reversed(problems)}.values()
    )[::-1]
