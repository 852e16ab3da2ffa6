# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of a task and their health checks."""

import typing as t

from ..declare.keys import Seconds, key
from ..declare.record import record
from .vocabulary import HEADER, METHOD, NAME, PORT_LABEL, SERVER_NAME, CheckProtocol, CheckStatus, CheckType, Provider


@record
class CheckRestart:
    """When failed checks restart a task. The restart counts in its `restartPolicy`."""

    limit: int = key("Restart the task after so many failures in a row; `warning` counts as a failure. 0: never.", minimum=0, maximum=1000)
    grace: Seconds = key("Failures do not count for this long after the task has started.", default=Seconds(1), minimum=0)


@record
class Check:
    """A health check of a service."""

    name: str = key("Name, unique in its task.", pattern=NAME)
    type: CheckType = key(
        "`tcp`: the port accepts a connection. `http`: 2xx is passing, 429 is warning, all else critical; redirects are not followed. "
        "`grpc`: the gRPC health protocol answers SERVING. `script`: exit status 0 is passing, 1 is warning, all else critical."
    )
    command: str | None = key("Program of a script check.", default=None, substituted=True)
    args: tuple[str, ...] = key("Its arguments.", factory=tuple, substituted=True)
    path: str | None = key(
        "Of an http check, the path that is asked for, by default `/`. Of a grpc check, the service's name, by default the whole server.",
        default=None,
        pattern=r"[!-~]+",
        expected="text without blanks",
    )
    protocol: CheckProtocol | None = key("`https`: an http or grpc check uses TLS. Default: `http`.", default=None)
    port_label: str | None = key(
        "Port that is checked, as in the service. Default: the service's.", default=None, pattern=PORT_LABEL, expected="a label or a port"
    )
    interval: Seconds = key("Time between two checks.", default=Seconds(10), minimum=1, maximum=86400)
    timeout: Seconds = key("How long a check may take.", default=Seconds(2), minimum=1, maximum=3600)
    initial_status: CheckStatus = key("Status until the first check has come to a result.", default=CheckStatus.CRITICAL)
    method: str | None = key(
        "Method of an http check. Default: `GET`.", default=None, ours=True, pattern=METHOD, expected="an HTTP method, such as GET"
    )
    headers: t.Mapping[str, str] = key(
        "Headers of an http check.",
        factory=dict,
        ours=True,
        substituted=True,
        secret=True,
        key_pattern=HEADER,
        names=("a header", "use letters, digits and -"),
    )
    expect: str | None = key(
        "Text that the first 64 KiB of the body must contain; else an http check is critical.",
        default=None,
        ours=True,
        pattern=r"[^\x00]+",
        expected="text",
    )
    tls_skip_verify: bool = key("The certificate of the server is not verified.", default=False, ours=True)
    server_name: str | None = key(
        "Name that the certificate must have, and that is asked for by SNI. Default: the address that is checked.",
        default=None,
        ours=True,
        pattern=SERVER_NAME,
        expected="a host name or an IP address",
    )
    success_before_passing: int = key(
        "How many good results in a row change the status to passing or warning.", default=1, ours=True, minimum=0, maximum=1000
    )
    failures_before_critical: int = key(
        "How many bad results in a row change the status to critical.", default=1, ours=True, minimum=0, maximum=1000
    )
    check_restart: CheckRestart | None = key("When failures restart the task.", default=None, ours=True)


@record
class Service:
    """A service that a task offers."""

    name: str = key("Name of the service.", pattern=NAME)
    port_label: str = key(
        "Port on which it listens: a number, which is one on 127.0.0.1, the label of one of the group's `network.ports`, or the name of "
        "one of its `network.services`, which is its `to`. It must be one of these if a check uses it."
    )
    tags: tuple[str, ...] = key(
        "Words that templates find in `.Tags` when they look the service up.",
        factory=tuple,
        pattern=r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+",
        expected="text on one line",
    )
    checks: tuple[Check, ...] = key("Health checks.", factory=tuple)
    provider: Provider = key(
        "Where it is found: `native`, by templates of all jobs of a run; `nomad` is another spelling of it. `consul`: by whoever asks the"
        " Consul to which the robot's own agent belongs.",
        default=Provider.NATIVE,
        ours=True,
    )
