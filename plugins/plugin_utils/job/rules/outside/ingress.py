# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true between the keys of an ingress."""

from __future__ import annotations

import collections.abc as c

from ...addresses import plain
from ...errors import Finding, Mistake, quoted
from ...model.ingress import Ingress, IngressTls, plain_host, plain_path
from ...model.vocabulary import IngressTlsMode

# Of a host name, RFC 1123.
LONGEST_HOST = 253


def errors(ingress: Ingress, path: str, wrong: c.Container[str]) -> c.Iterator[Finding]:
    """What is wrong with an ingress, at `path`. ``wrong``: paths that have an error already."""
    usual = plain(ingress.address or "")
    if ingress.address and usual != ingress.address:
        reason, remedy = "not the usual spelling of this address", "write it in its shortest form"
        yield f"{path}.address", Mistake(reason, remedy, value=quoted(ingress.address), value_remedy=f"write {usual}")
    if ingress.tls:
        yield from _tls(ingress.tls, f"{path}.tls")
    first: dict[tuple[str, str], str] = {}
    for number, route in enumerate(ingress.routes or ()):
        here = f"{path}.routes[{number}]"
        if route is None or not route.host or not route.path or f"{here}.host" in wrong or f"{here}.path" in wrong:
            continue
        if len(route.host) > LONGEST_HOST:
            yield f"{here}.host", Mistake(f"longer than {LONGEST_HOST} characters", "write a shorter name", value=quoted(route.host))
        other = first.setdefault((plain_host(route.host), plain_path(route.path)), here)
        if other != here:
            what = f"host {route.host} and path {route.path}"
            yield here, Mistake(f"{other} has the same host and path", "remove one of them, or give it another path", value=what)


def _tls(tls: IngressTls, path: str) -> c.Iterator[Finding]:
    files = {"certFile": tls.cert_file, "keyFile": tls.key_file}
    if tls.mode is IngressTlsMode.NONE:
        if any(files.values()):
            yield f"{path}.mode", Mistake("a certificate is given, but `none` means plaintext", "remove mode, or the files", value="none")
    elif missing := [name for name, file in files.items() if file is None]:
        yield path, Mistake(f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing", "name both files, or write tls: none")
