# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the groups of each robot serve and call, and their pods, as the robot said, kept on the controller for runs of other jobs.

Robots know it themselves, and say when this is wrong: a file that is lost costs one more round trip.
"""

from __future__ import annotations

import ipaddress
import pathlib
import re
import typing as t

from ..job.model.vocabulary import FULL_GROUP, FULL_SERVICE, NAME
from . import files
from .capabilities import OddCapabilities

Said = t.Mapping[str, t.Any]
NOTHING: Said = {"digest": "", "serves": [], "calls": [], "pods": []}
_SERVED: t.Mapping[str, type] = {"name": str, "port": int, "terms": dict}
_TERMS: t.Mapping[str, type] = {"address": str, "protocol": str, "pods": bool, "allow": list}
_CALLED: t.Mapping[str, type] = {**dict.fromkeys(("namespace", "job", "group", "id", "path", "follows", "sha256"), str), "pods": bool}
# Of what tasks offer at a port.
_OFFERS: t.Mapping[str, type] = {"instance": int, "label": str, "host": str, "pods": bool, "offers": list}
_OFFER: t.Mapping[str, type] = {"name": str, "task": str, "tags": list}
_POD: t.Mapping[str, type] = {"group": str, "name": str, "address": str, "address6": str, "reach": list}
_PROTOCOLS = ("tcp", "http", "grpc")
# What other robots' templates and a run's warnings may have in them is no more than a job file could say, so that no robot writes lines
# into them.
_HOST = r"[0-9A-Fa-f.:]*"
# What `names.group_id` makes.
_ID = r"[a-z0-9-]+"
# An address as a job file may have it, and SPIFFE IDs.
_ADDRESS, _ALLOWED = r"[A-Za-z0-9.:_-]*", r"[\x21-\x7e]+"
_TAG = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+"


class Mesh(t.NamedTuple):
    """The files, in the directory of the controller's state (`key.home`)."""

    directory: pathlib.Path

    def read(self, host: str) -> Said:
        """What the robot said last; `NOTHING` itself if it never did, or if that cannot be read."""
        found = files.read(self._path(host))
        return found if sound(found) else NOTHING

    def learn(self, host: str, said: Said) -> None:
        """Remember it. Raises `OddCapabilities` for what cannot be, and `KeyProblem` where there is no place for it."""
        if not sound(said):
            raise OddCapabilities("the robot reports its services, callers and pods in a form that this version does not understand")
        known = self.read(host)
        # A robot that serves and calls nothing has said so, too.
        if known is NOTHING or said != known:
            files.write(self._path(host), said, f"what groups of {host} serve and call")

    def _path(self, host: str) -> pathlib.Path:
        return files.path(self.directory, "mesh", host)


def sound(said: t.Any) -> bool:
    """Whether it is of the form that a robot gives it."""
    if not _has(said, {"digest": str, "serves": list, "calls": list, "pods": list}):
        return False
    return all(map(_is_service, said["serves"])) and all(map(_is_call, said["calls"])) and all(map(_is_pod, said["pods"]))


def _is_call(call: t.Any) -> bool:
    if not (_has(call, _CALLED) and re.fullmatch(FULL_GROUP, call["group"]) and re.fullmatch(FULL_SERVICE, call["follows"])):
        return False
    return bool(re.fullmatch(_ID, call["id"])) and all(re.fullmatch(NAME, call[key]) for key in ("namespace", "job"))


def _is_pod(pod: t.Any) -> bool:
    if not (_has(pod, _POD) and re.fullmatch(NAME, pod["name"]) and re.fullmatch(FULL_GROUP, pod["group"])):
        return False
    if not all(isinstance(each, str) and re.fullmatch(FULL_GROUP, each) for each in pod["reach"]):
        return False
    try:
        ipaddress.IPv4Address(pod["address"])
        # A zone may be any text.
        return ipaddress.IPv6Address(pod["address6"] or "::").scope_id is None
    except ValueError:
        return False


def _is_service(served: t.Any) -> bool:
    if not (_has(served, _SERVED) and re.fullmatch(FULL_SERVICE, served["name"]) and _is_port(served["port"])):
        return False
    terms = served["terms"]
    if "offers" in terms:
        return _are_offers(terms)
    if not (_has(terms, _TERMS) and terms["protocol"] in _PROTOCOLS and re.fullmatch(_ADDRESS, terms["address"])):
        return False
    return all(isinstance(each, str) and re.fullmatch(_ALLOWED, each) for each in terms["allow"])


def _is_port(value: int) -> bool:
    return not isinstance(value, bool) and 0 < value < 65536


def _are_offers(terms: t.Any) -> bool:
    if not (_has(terms, _OFFERS) and re.fullmatch(NAME, terms["label"]) and re.fullmatch(_HOST, terms["host"])):
        return False
    return all(
        _has(each, _OFFER)
        and re.fullmatch(FULL_SERVICE, each["name"])
        and re.fullmatch(NAME, each["task"])
        and all(isinstance(tag, str) and re.fullmatch(_TAG, tag) for tag in each["tags"])
        for each in terms["offers"]
    )


def _has(value: t.Any, shape: t.Mapping[str, type]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), kind) for key, kind in shape.items())
