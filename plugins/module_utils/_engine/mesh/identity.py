# Copyright (c) k8s4r.robot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the proxies of a group have the identity that they need, as Envoy itself says. One without is up, and lets nobody through."""

from __future__ import annotations

import calendar
import os
import socket
import time

from ..plan import RUNTIME
from ..say import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

    from ..plan import GroupPlan
    from ..state.ledger import GroupRecord
    from ..state.manifest import ManifestGroup

# By this a group says that its proxies need an identity: the role that provisions whoever gives it (`Need`).
_AGENT = "spire_agent"
_PROXIES = RUNTIME + "/proxy"
_QUESTION = b"GET /certs HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
# Seconds for an answer, and its bytes: a proxy is no program of ours once somebody has got into it.
_PATIENCE, _MOST = 1.0, 1 << 20


def needed(group: GroupPlan | GroupRecord | ManifestGroup) -> bool:
    """Whether a group needs an identity."""
    return any(need["what"] == _AGENT for need in group["needs"])


def missing(id: str, group: GroupRecord) -> list[str]:
    """Which proxies of a group run without a valid identity; of pods, each with its instance behind it. `id` is the group's."""
    if not needed(group):
        return []
    try:
        homes = sorted(name for name in os.listdir(_PROXIES) if name == id or name.rpartition("-r")[0] == id)
    except OSError:
        return []
    found = {home: _certificates(f"{_PROXIES}/{home}/admin.sock") for home in homes}
    return [f"proxy{home[len(id) :].replace('-', ' ')}" for home, chains in found.items() if chains is not None and not _valid(chains)]


def _certificates(path: str) -> list[t.Any] | None:
    """The chains that a proxy presents to others; None where it gives no answer: it may be down, which its unit says."""
    answer, end = b"", time.monotonic() + _PATIENCE
    try:
        with socket.socket(socket.AF_UNIX) as pipe:
            pipe.settimeout(_PATIENCE)
            pipe.connect(path)
            pipe.sendall(_QUESTION)
            while len(answer) < _MOST and time.monotonic() < end:
                more = pipe.recv(65536)
                if not more:
                    break
                answer += more
        # It may come in chunks, whose sizes are on lines of their own.
        body = answer.partition(b"\r\n\r\n")[2]
        whole = jsontext.loads(body[body.index(b"{") : body.rindex(b"}") + 1].decode("utf-8"))
        return [chain for each in whole["certificates"] for chain in each["cert_chain"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _valid(chains: t.Iterable[t.Any]) -> bool:
    """Whether one of them is an SVID whose time is not over."""
    try:
        return any(
            str(name.get("uri", "")).startswith("spiffe://")
            and calendar.timegm(time.strptime(chain["expiration_time"], "%Y-%m-%dT%H:%M:%SZ")) > time.time()
            for chain in chains
            for name in chain["subject_alt_names"]
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
