# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where end users reach services: a port of the robot, routes by host name and path, and a certificate."""

import typing as t
from dataclasses import field as attribute

from ..declare.keys import Secret, key
from ..declare.record import record
from .vocabulary import ADDRESS, SERVICE, IngressTlsMode

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = rf"\*|(\*\.)?{_LABEL}(\.{_LABEL})*"
# Without % no two spellings are the same path, and without . and .. as segments none leads elsewhere.
URL_PATH = r"/|(/(?!\.{1,2}(/|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?"
FILE = r"[^\x00-\x1f]+"


class Pair(t.NamedTuple):
    """A certificate, with those that lead from it to its authority, and its private key; both in PEM format."""

    chain: str
    key: Secret


@record
class IngressTls:
    """Where the certificate is that browsers are shown. `none` in its place means plaintext."""

    mode: IngressTlsMode = key("`files`: TLS. `none`: plaintext.", default=IngressTlsMode.FILES)
    cert_file: str | None = key(
        "A file on the controller with the certificate and those that lead to its authority, in PEM format; relative to the job file.",
        default=None, pattern=FILE, expected="a path on one line",
    )  # fmt: skip
    key_file: str | None = key(
        "A file on the controller with its private key, in PEM format; relative to the job file, and best encrypted with `ansible-vault`.",
        default=None, pattern=FILE, expected="a path on one line",
    )  # fmt: skip
    # What is in the files, once they have been read.
    pair: Pair | None = attribute(default=None, repr=False)


@record
class IngressRoute:
    """Requests with a host name and a path, and the service that gets them."""

    service: str = key(
        "The service: `job/group/name`, with `namespace/` in front unless it is this job's. Its `protocol` is http or grpc, and its "
        "`allow` names this group.",
        pattern=SERVICE, expected="job/group/name or namespace/job/group/name",
    )  # fmt: skip
    host: str = key(
        "Host name: `app.example`; `*.example`, for all names that end in `.example`; or `*`, which is every name that no other route has.",
        default="*", pattern=HOST, expected="a host name, *. and a host name, or *",
    )  # fmt: skip
    path: str = key(
        "Beginning of the path, up to the end of a segment: `/api` is `/api` and all below `/api/`, but not `/apis`. The longest wins.",
        default="/", pattern=URL_PATH, expected="a path such as /api, without //, . and .. segments, %, ? and #",
    )  # fmt: skip


@record
class Ingress:
    """A port of the robot where end users reach services by host name and path, wherever these run."""

    port: int = key("The port, on every robot of the group.", minimum=1, maximum=65535)
    routes: tuple[IngressRoute, ...] = key("Which service gets which requests. All others are answered with 404.", min_items=1)
    address: str = key(
        "Address of the robot where it listens. `::`: every address, IPv4 and IPv6. `0.0.0.0`: every IPv4 address.",
        default="::", pattern=ADDRESS, expected="an IP address of the robot",
    )  # fmt: skip
    tls: IngressTls = key(
        "The certificate. `none`: plaintext.",
        default=IngressTls(mode=IngressTlsMode.NONE), text_is="mode",
    )  # fmt: skip


def plain_host(host: str) -> str:
    """A host in the one spelling by which hosts are compared."""
    return host.lower()


def plain_path(path: str) -> str:
    """A path in the one spelling by which paths are compared: `/api/` is `/api`."""
    return path.rstrip("/") or "/"
